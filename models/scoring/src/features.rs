//! What a session looks like to a model: a fixed array of numbers, each with a name.

/// How many features there are.
pub const FEATURE_COUNT: usize = 10;

/// A feature's place in [`Features`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Feature {
    /// See [`FEATURES`], as for all of them.
    Events,
    /// Page views.
    PageViews,
    /// Product views.
    ProductViews,
    /// Lists viewed.
    ListViews,
    /// Searches.
    Searches,
    /// Additions to the cart.
    CartAdds,
    /// Removals from the cart.
    CartRemoves,
    /// Checkout steps.
    CheckoutSteps,
    /// Deepest point of the funnel.
    FunnelDepth,
    /// Minutes between the first and the last informative event.
    ActiveMinutes,
}

/// What a feature is called and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureSpec {
    /// Its name: in reasons, in training sets, in the schema hash.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What it means.
    pub doc: &'static str,
}

const fn spec(name: &'static str, unit: &'static str, doc: &'static str) -> FeatureSpec {
    FeatureSpec { name, unit, doc }
}

/// The features in their order. Of a session only *informative* events count (views, searches, cart, checkout, purchase; no
/// pings or clicks), and of those only the ones that allow personalization.
pub const FEATURES: [FeatureSpec; FEATURE_COUNT] = [
    spec("events", "events", "Informative events so far."),
    spec("page_views", "events", "Page views."),
    spec("product_views", "events", "Product views."),
    spec("list_views", "events", "Lists viewed."),
    spec("searches", "events", "Searches."),
    spec("cart_adds", "events", "Additions to the cart."),
    spec("cart_removes", "events", "Removals from the cart."),
    spec("checkout_steps", "events", "Checkout steps."),
    spec("funnel_depth", "level", "0 other, 1 page, 2 list or search, 3 product, 4 cart, 5 checkout, 6 purchase."),
    spec("active_minutes", "minutes", "Between the first and the last informative event."),
];

/// Names the features and their order: a model trained on others must not score these. FNV-1a, 128 bits, over the names, each
/// followed by a zero byte.
pub const SCHEMA_HASH: u128 = {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    let prime: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let mut at = 0;
    while at < FEATURE_COUNT {
        let name = FEATURES[at].name.as_bytes();
        let mut byte = 0;
        while byte < name.len() {
            hash = (hash ^ name[byte] as u128).wrapping_mul(prime);
            byte += 1;
        }
        hash = hash.wrapping_mul(prime);
        at += 1;
    }
    hash
};

/// The numbers, in the order of [`FEATURES`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Features(pub [f32; FEATURE_COUNT]);

impl Features {
    /// One feature.
    pub fn get(&self, feature: Feature) -> f32 {
        self.0[feature as usize]
    }

    /// Sets one feature.
    pub fn set(&mut self, feature: Feature, value: f32) {
        self.0[feature as usize] = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_hash_is_pinned() {
        // Changing a name or the order must be deliberate: models are bound to this number.
        assert_eq!(SCHEMA_HASH, GOLDEN, "{SCHEMA_HASH:#034x}");
    }

    /// Computed apart, with another program.
    const GOLDEN: u128 = 0xaad5549a_d705172a_1cc7d582_e2ad297e;

    #[test]
    fn places_and_names_agree() {
        assert_eq!(FEATURES[Feature::Events as usize].name, "events");
        assert_eq!(FEATURES[Feature::CheckoutSteps as usize].name, "checkout_steps");
        assert_eq!(FEATURES[Feature::ActiveMinutes as usize].name, "active_minutes");
        assert_eq!(Feature::ActiveMinutes as usize + 1, FEATURE_COUNT);
    }
}
