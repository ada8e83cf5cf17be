//! The key by which input is partitioned: by device, else by user, else by order id, else by event id.
//!
//! Collect and import use the same bytes, so that a device's history and its live events meet in one partition.

/// What identifies an event before anybody has interpreted it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InputIdentity<'a> {
    /// The tracker's device id.
    pub device: Option<&'a str>,
    /// The shop's user id.
    pub user: Option<&'a str>,
    /// The order id (or refund's order id, or refund id).
    pub order: Option<&'a str>,
    /// The sender's event id.
    pub event: Option<&'a str>,
}

/// Replaces the content of `key` by the input key of `identity` on `site`.
pub fn input_key(site: &str, identity: InputIdentity<'_>, key: &mut Vec<u8>) {
    let (kind, id) = match identity {
        InputIdentity { device: Some(id), .. } => (b'd', id),
        InputIdentity { user: Some(id), .. } => (b'u', id),
        InputIdentity { order: Some(id), .. } => (b'o', id),
        InputIdentity { event, .. } => (b'e', event.unwrap_or_default()),
    };
    key.clear();
    key.extend_from_slice(site.as_bytes());
    key.extend_from_slice(&[0, kind, 0]);
    key.extend_from_slice(id.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::{InputIdentity, input_key};

    #[test]
    fn device_goes_before_user_before_order_before_event() {
        let all = InputIdentity { device: Some("d"), user: Some("u"), order: Some("o"), event: Some("e") };
        let mut key = Vec::new();
        for (identity, expected) in [
            (all, "s\0d\0d"),
            (InputIdentity { device: None, ..all }, "s\0u\0u"),
            (InputIdentity { device: None, user: None, ..all }, "s\0o\0o"),
            (InputIdentity { event: Some("e"), ..InputIdentity::default() }, "s\0e\0e"),
            (InputIdentity::default(), "s\0e\0"),
        ] {
            input_key("s", identity, &mut key);
            assert_eq!(key, expected.as_bytes());
        }
    }
}
