//! What a session looks like to a model: a fixed array of numbers, each with a name.

/// How many features there are.
pub const FEATURE_COUNT: usize = 22;

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
    /// Orders placed.
    Purchases,
    /// Distinct products viewed.
    Products,
    /// Product views beyond the first of each product.
    RepeatViews,
    /// Additions to the cart less removals.
    CartBalance,
    /// Mean time from one informative event to the next.
    SecondsPerEvent,
    /// What brought the visitor.
    Channel,
    /// What the visitor uses.
    Device,
    /// Earlier sessions.
    PriorSessions,
    /// Orders in them.
    PriorOrders,
    /// Since the latest of them.
    DaysSinceSession,
    /// Since the latest of them with an order.
    DaysSinceOrder,
    /// Whether the latest of them left a cart behind.
    LeftCart,
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
/// pings or clicks), and of those only the ones that allow personalization. What is unknown is not a number (NaN); models know
/// that case, because they were trained with it.
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
    spec(
        "purchases",
        "orders",
        "Orders placed in the session; counted by a 32-bit sketch, exact for the few that there are.",
    ),
    spec("products", "products", "Distinct products viewed; counted by a 64-bit sketch, a little low beyond ten."),
    spec("repeat_views", "events", "Product views less distinct products."),
    spec("cart_balance", "events", "Additions to the cart less removals; may be below zero."),
    spec("seconds_per_event", "seconds", "Mean time between neighbouring informative events; unknown after one event."),
    spec(
        "channel",
        "level",
        "0 none, 1 direct, 2 display or video, 3 social, 4 paid social, 5 referral or other, 6 organic search, 7 affiliate, 8 paid search or shopping, 9 email, SMS or push; the highest seen.",
    ),
    spec("device", "level", "0 unknown, 1 desktop, 2 tablet, 3 mobile; the highest seen."),
    spec("prior_sessions", "sessions", "Sessions of the source before this one; unknown where no history is kept."),
    spec("prior_orders", "orders", "Orders in them."),
    spec(
        "days_since_session",
        "days",
        "From the end of the latest of them to the start of this one, at most 90; unknown where there is none.",
    ),
    spec(
        "days_since_order",
        "days",
        "From the end of the latest of them with an order, at most 365; unknown where there is none.",
    ),
    spec(
        "left_cart",
        "flag",
        "1 where the latest of them filled a cart and did not order, else 0; unknown where there is none.",
    ),
];

/// Names the features and their order: a model trained on others must not score these. FNV-1a, 128 bits, over the names, each
/// followed by a zero byte.
pub const SCHEMA_HASH: u128 = {
    let mut names = [""; FEATURE_COUNT];
    let mut at = 0;
    while at < FEATURE_COUNT {
        names[at] = FEATURES[at].name;
        at += 1;
    }
    schema_hash(&names)
};

/// The hash of features with these names.
pub const fn schema_hash(names: &[&str]) -> u128 {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    let prime: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let mut at = 0;
    while at < names.len() {
        let name = names[at].as_bytes();
        let mut byte = 0;
        while byte < name.len() {
            hash = (hash ^ name[byte] as u128).wrapping_mul(prime);
            byte += 1;
        }
        hash = hash.wrapping_mul(prime);
        at += 1;
    }
    hash
}

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
    const GOLDEN: u128 = 0x4086c0d2_d7e566f6_a0709fb1_2be1f858;

    #[test]
    fn places_and_names_agree() {
        assert_eq!(FEATURES[Feature::Events as usize].name, "events");
        assert_eq!(FEATURES[Feature::CheckoutSteps as usize].name, "checkout_steps");
        assert_eq!(FEATURES[Feature::ActiveMinutes as usize].name, "active_minutes");
        assert_eq!(FEATURES[Feature::Channel as usize].name, "channel");
        assert_eq!(FEATURES[Feature::PriorSessions as usize].name, "prior_sessions");
        assert_eq!(FEATURES[Feature::LeftCart as usize].name, "left_cart");
        assert_eq!(Feature::LeftCart as usize + 1, FEATURE_COUNT);
    }
}
