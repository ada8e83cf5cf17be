//! The shop's products, made up from the seed when they are asked for.

use crate::random::Random;

/// How many products there are.
pub(crate) const PRODUCTS: u64 = 2_400;
const CATEGORIES: [&str; 12] = [
    "clothing/shirts",
    "clothing/dresses",
    "clothing/jackets",
    "shoes/sneakers",
    "shoes/boots",
    "home/lighting",
    "home/textiles",
    "kitchen/cookware",
    "garden/tools",
    "electronics/audio",
    "electronics/accessories",
    "toys/games",
];
const KINDS: [&str; 12] = [
    "Shirt",
    "Dress",
    "Jacket",
    "Sneaker",
    "Boot",
    "Lamp",
    "Blanket",
    "Pan",
    "Spade",
    "Headphones",
    "Charger",
    "Board game",
];
const BRANDS: [&str; 9] = ["Alder", "Birch & Co", "Caféline", "Dovetail", "Ember", "Fjord", "Grove", "Heron", "Iris"];
const ADJECTIVES: [&str; 10] =
    ["light", "warm", "classic", "folding", "organic", "12\" wide", "soft", "sturdy", "slim", "vintage"];

/// Its number of categories.
pub(crate) const CATEGORY_COUNT: u64 = CATEGORIES.len() as u64;

/// A product.
#[derive(Debug, Clone)]
pub(crate) struct Product {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) category: &'static str,
    pub(crate) brand: &'static str,
    pub(crate) price_minor: i64,
    pub(crate) cost_minor: i64,
}

impl Product {
    /// The product with this number.
    pub(crate) fn of(seed: u64, number: u64) -> Self {
        let mut random = Random::of(&[seed, PRODUCT, number]);
        let at = (number % CATEGORY_COUNT) as usize;
        let adjective = ADJECTIVES.get(random.below(10) as usize).copied().unwrap_or_default();
        // Cheap things are many: the product of two uniforms, ending in 9, 49 or 95.
        let raw = 300 + random.below(160) * random.below(160);
        let price_minor = (raw / 100 * 100 + [9, 49, 95].get(random.below(3) as usize).copied().unwrap_or(0)) as i64;
        Self {
            id: format!("P{number:05}"),
            name: format!("{} {} {number}", KINDS.get(at).copied().unwrap_or_default(), adjective),
            category: CATEGORIES.get(at).copied().unwrap_or_default(),
            brand: BRANDS.get(random.below(9) as usize).copied().unwrap_or_default(),
            price_minor,
            cost_minor: price_minor * random.between(45, 75) / 100,
        }
    }

    /// A product that somebody who likes this category looks at: half of the time from there, and popular ones more often.
    pub(crate) fn looked_at(seed: u64, favourite: u64, random: &mut Random) -> Self {
        let rows = PRODUCTS / CATEGORY_COUNT;
        let category = if random.chance(500_000) { favourite } else { random.below(CATEGORY_COUNT) };
        let row = random.below(rows).min(random.below(rows)).min(random.below(rows));
        Self::of(seed, row * CATEGORY_COUNT + category)
    }
}

const PRODUCT: u64 = 0x7072_6f64;
