//! What channels and devices count as: levels, so that one comparison of a tree separates them.

/// The bit of a channel's level; none for pages inside the shop and events without page.
///
/// Levels follow how much intent a visit usually brings along, as reports of shops have it: 1 direct, 2 display and video, 3 social,
/// 4 paid social, 5 referral and other, 6 organic search, 7 affiliate, 8 paid search and shopping, 9 email, SMS and push.
pub fn channel_bit(channel: &str) -> u16 {
    let level = match channel {
        "direct" => 1,
        "display" | "video" => 2,
        "organic_social" => 3,
        "paid_social" => 4,
        "referral" | "other" => 5,
        "organic_search" => 6,
        "affiliate" => 7,
        "paid_search" | "shopping" => 8,
        "email" | "sms" | "push" => 9,
        _ => return 0,
    };
    1 << (level - 1)
}

/// The bit of a device's class: 1 desktop, 2 tablet, 3 mobile.
pub fn device_bit(class: &str) -> u8 {
    match class {
        "desktop" => 1,
        "tablet" => 2,
        "mobile" => 4,
        _ => 0,
    }
}

/// The highest level seen; 0 for none. The highest, because it does not depend on which event came first.
pub fn level(bits: u32) -> f32 {
    (u32::BITS - bits.leading_zeros()) as f32
}

#[cfg(test)]
mod tests {
    use super::{channel_bit, device_bit, level};

    #[test]
    fn the_highest_level_counts() {
        let of = |channels: &[&str]| level(channels.iter().fold(0, |bits, name| bits | u32::from(channel_bit(name))));
        assert_eq!(of(&["internal", "none", ""]), 0.0);
        assert_eq!(of(&["direct", "internal"]), 1.0);
        assert_eq!(of(&["email", "direct"]), 9.0);
        assert_eq!(level(u32::from(device_bit("mobile") | device_bit("desktop"))), 3.0);
        assert_eq!(level(u32::from(device_bit("unknown"))), 0.0);
    }
}
