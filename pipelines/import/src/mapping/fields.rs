//! The fields an event can have, and what they hold. A test compares this list with the event catalogue's JSON Schema.

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Decimal,
    Flag,
    Currency,
}

/// The event types of the catalogue.
pub(crate) const EVENT_TYPES: [&str; 19] = [
    "page_view",
    "page_ping",
    "click",
    "search",
    "product_view",
    "list_view",
    "add_to_cart",
    "remove_from_cart",
    "checkout_step",
    "purchase",
    "refund",
    "identify",
    "logout",
    "consent",
    "experiment_exposure",
    "offline_order",
    "offline_touch",
    "spend",
    "custom",
];

/// Paths in an event's JSON. `properties` takes any name besides.
const FIELDS: &[(&str, Kind)] = &[
    ("sequence", Kind::Integer),
    ("device", Kind::Text),
    ("user", Kind::Text),
    ("session", Kind::Text),
    ("language", Kind::Text),
    ("country", Kind::Text),
    ("user_agent", Kind::Text),
    ("page.url", Kind::Text),
    ("page.title", Kind::Text),
    ("page.referrer", Kind::Text),
    ("page.view_id", Kind::Text),
    ("campaign.source", Kind::Text),
    ("campaign.medium", Kind::Text),
    ("campaign.name", Kind::Text),
    ("campaign.term", Kind::Text),
    ("campaign.content", Kind::Text),
    ("product.id", Kind::Text),
    ("product.name", Kind::Text),
    ("product.category", Kind::Text),
    ("product.brand", Kind::Text),
    ("product.price", Kind::Decimal),
    ("product.currency", Kind::Currency),
    ("product.quantity", Kind::Integer),
    ("product.list_id", Kind::Text),
    ("search.query", Kind::Text),
    ("search.results", Kind::Integer),
    ("click.target", Kind::Text),
    ("ping.engaged_ms", Kind::Integer),
    ("ping.scroll_depth_pct", Kind::Integer),
    ("checkout.step", Kind::Integer),
    ("order.id", Kind::Text),
    ("order.amount", Kind::Decimal),
    ("order.currency", Kind::Currency),
    ("order.tax", Kind::Decimal),
    ("order.shipping", Kind::Decimal),
    ("order.discount", Kind::Decimal),
    ("order.coupon", Kind::Text),
    ("refund.id", Kind::Text),
    ("refund.order_id", Kind::Text),
    ("refund.amount", Kind::Decimal),
    ("refund.currency", Kind::Currency),
    ("consent.necessary", Kind::Flag),
    ("consent.analytics", Kind::Flag),
    ("consent.personalization", Kind::Flag),
    ("consent.advertising", Kind::Flag),
    ("experiment.id", Kind::Text),
    ("experiment.variation", Kind::Text),
    ("spend.channel", Kind::Text),
    ("spend.campaign", Kind::Text),
    ("spend.amount", Kind::Decimal),
    ("spend.currency", Kind::Currency),
    ("touch.channel", Kind::Text),
    ("touch.campaign", Kind::Text),
    ("touch.order_id", Kind::Text),
    ("name", Kind::Text),
];

/// Fields of a line.
pub(crate) const LINE_FIELDS: [(&str, Kind); 7] = [
    ("product_id", Kind::Text),
    ("name", Kind::Text),
    ("category", Kind::Text),
    ("quantity", Kind::Integer),
    ("price", Kind::Decimal),
    ("amount", Kind::Decimal),
    ("cost", Kind::Decimal),
];

/// All fields outside `properties`.
#[cfg(test)]
pub(crate) fn all() -> &'static [(&'static str, Kind)] {
    FIELDS
}

/// What a path means.
pub(crate) enum Lookup {
    /// A field.
    Field(Kind),
    /// An object with fields.
    Object,
    /// Nothing; these are known beside it.
    Unknown(Vec<&'static str>),
}

/// Looks a path up.
pub(crate) fn lookup(path: &[String]) -> Lookup {
    let joined = path.join(".");
    match path {
        [only] if only == "properties" => return Lookup::Object,
        [first, _] if first == "properties" => return Lookup::Field(Kind::Text),
        _ => {}
    }
    if let Some((_, kind)) = FIELDS.iter().find(|(name, _)| *name == joined) {
        return Lookup::Field(*kind);
    }
    let inside = |prefix: &str| -> Vec<&'static str> {
        FIELDS.iter().map(|(name, _)| *name).filter(|name| name.starts_with(prefix)).collect()
    };
    if !inside(&format!("{joined}.")).is_empty() {
        return Lookup::Object;
    }
    let parent =
        path.split_last().map_or(String::new(), |(_, rest)| rest.iter().map(|part| format!("{part}.")).collect());
    let mut known = inside(&parent);
    if parent.is_empty() {
        known.push("properties.*");
    }
    Lookup::Unknown(known)
}

/// What a line's field holds.
pub(crate) fn line_kind(name: &str) -> Option<Kind> {
    LINE_FIELDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}
