//! What may be done with an event: consent purposes as bits, decided once and carried by it.
//!
//! The event's own consent holds; else what the visitor said last on this device (a `consent` event); else the site's policy at the
//! event's time. Necessary use is always allowed. Global Privacy Control takes advertising away, the purpose that selling and
//! sharing data falls under.
//!
//! An event that may serve no purpose but the necessary one is dropped, with these exceptions, because the shop cannot do without:
//!
//! * purchases, offline orders and refunds are kept for the books, without person, device, session, page and properties;
//! * a `consent` event is kept whole, as the proof of what the visitor said, but for its page and properties;
//! * spend by channel is about nobody.

use millstream_schemas::purposes;

/// What is done with an event under its purposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// Kept as it is.
    Full,
    /// Kept with its identity, without page and properties.
    Proof,
    /// Kept without anything that points to a person.
    Books,
    /// Dropped: `consent_refused`.
    Drop,
}

/// What an event type is to consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// What a visitor does.
    Behaviour,
    /// A purchase, offline order or refund.
    Order,
    /// What the visitor allows.
    Consent,
    /// About no person.
    Nobody,
}

/// The purposes of an event: its own, else the device's, else the site's.
pub fn purposes_of(event: Option<i32>, device: Option<i32>, site_default: i32, global_privacy_control: bool) -> i32 {
    let said = event.or(device).unwrap_or(site_default) & purposes::ALL | purposes::NECESSARY;
    if global_privacy_control { said & !purposes::ADVERTISING } else { said }
}

/// What these purposes mean for an event.
pub fn treatment(purposes: i32, subject: Subject) -> Treatment {
    match subject {
        Subject::Nobody => Treatment::Full,
        _ if purposes & !purposes::NECESSARY != 0 => Treatment::Full,
        Subject::Consent => Treatment::Proof,
        Subject::Order => Treatment::Books,
        Subject::Behaviour => Treatment::Drop,
    }
}

#[cfg(test)]
mod tests {
    use millstream_schemas::purposes::{ADVERTISING, ALL, ANALYTICS, NECESSARY};

    use super::*;

    #[test]
    fn the_nearest_word_holds() {
        assert_eq!(purposes_of(Some(ANALYTICS), Some(ALL), ALL, false), ANALYTICS | NECESSARY);
        assert_eq!(purposes_of(Some(0), Some(ALL), ALL, false), NECESSARY);
        assert_eq!(purposes_of(None, Some(ADVERTISING), 0, false), ADVERTISING | NECESSARY);
        assert_eq!(purposes_of(None, None, ALL, false), ALL);
        assert_eq!(purposes_of(Some(!0), None, 0, false), ALL, "unknown bits mean nothing");
    }

    #[test]
    fn global_privacy_control_takes_advertising_away() {
        assert_eq!(purposes_of(Some(ALL), None, ALL, true), ALL & !ADVERTISING);
        assert_eq!(treatment(purposes_of(Some(ADVERTISING), None, ALL, true), Subject::Behaviour), Treatment::Drop);
    }

    #[test]
    fn what_is_kept_without_consent() {
        for (subject, refused) in [
            (Subject::Behaviour, Treatment::Drop),
            (Subject::Order, Treatment::Books),
            (Subject::Consent, Treatment::Proof),
            (Subject::Nobody, Treatment::Full),
        ] {
            assert_eq!(treatment(NECESSARY, subject), refused);
            for more in [ANALYTICS, ADVERTISING, ALL] {
                assert_eq!(treatment(NECESSARY | more, subject), Treatment::Full);
            }
        }
    }
}
