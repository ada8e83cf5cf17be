//! Channels and device classes as one byte each.

/// The channels that events are classified into. Positions are part of the encoding of states: only append.
const CHANNELS: [&str; 16] = [
    "none",
    "direct",
    "internal",
    "organic_search",
    "paid_search",
    "organic_social",
    "paid_social",
    "email",
    "display",
    "affiliate",
    "referral",
    "shopping",
    "video",
    "sms",
    "push",
    "other",
];
const OTHER: u8 = CHANNELS.len() as u8 - 1;

/// The device classes. Positions are part of the encoding of states: only append.
const DEVICE_CLASSES: [&str; 5] = ["unknown", "desktop", "mobile", "tablet", "bot"];

/// The code of a channel; that of `other` for one that is not in the catalogue.
pub fn channel_code(channel: &str) -> u8 {
    // Sixteen: the cast is exact.
    CHANNELS.iter().position(|known| *known == channel).map_or(OTHER, |at| at as u8)
}

/// The channel of a code; `other` for an unknown one.
pub fn channel(code: u8) -> &'static str {
    CHANNELS.get(usize::from(code)).copied().unwrap_or("other")
}

/// The code of a device class; that of `unknown` for one that is not in the catalogue.
pub fn device_class_code(class: &str) -> u8 {
    DEVICE_CLASSES.iter().position(|known| *known == class).map_or(0, |at| at as u8)
}

/// The device class of a code; `unknown` for an unknown one.
pub fn device_class(code: u8) -> &'static str {
    DEVICE_CLASSES.get(usize::from(code)).copied().unwrap_or("unknown")
}
