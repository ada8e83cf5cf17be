//! Who visits: what is fixed about a person, and the little that changes.

use crate::catalogue::CATEGORY_COUNT;
use crate::channel::{Channel, Touch};
use crate::random::{Random, grow, hash};

const PERSON: u64 = 0x7065_7273;
const DEVICE: u64 = 0x6465_7669;

/// What is fixed about a person; made up from the seed whenever they come.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) number: u32,
    /// Sessions a day, parts per million.
    pub(crate) sessions_ppm: u64,
    /// Chance that a session buys, before channel, device and history, parts per million: nobody can see it.
    pub(crate) buys_ppm: u64,
    pub(crate) devices: u64,
    pub(crate) favourite: u64,
    pub(crate) has_account: bool,
    /// Says no to the banner.
    pub(crate) refuses_consent: bool,
    /// How likely each channel is to bring them.
    pub(crate) channel_weights: [u64; 7],
    pub(crate) country: &'static str,
    pub(crate) language: &'static str,
}

/// What changes about a person: 24 bytes, kept for everybody.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PersonState {
    /// Sessions so far.
    pub(crate) sessions: u16,
    /// The day of the last one, plus one; 0 where there was none.
    pub(crate) last_day: u16,
    /// Devices on which somebody is logged in, as bits.
    pub(crate) logged_in: u8,
    /// Devices on which the banner was answered, as bits.
    pub(crate) consented: u8,
    /// Whether the last session left a cart behind.
    pub(crate) left_cart: bool,
    /// The newest touches, newest first.
    pub(crate) touches: [Touch; 4],
}

/// A device.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) id: String,
    pub(crate) user_agent: &'static str,
    pub(crate) mobile: bool,
    pub(crate) viewport: &'static str,
    /// How far its clock is off.
    pub(crate) clock_off_ms: i64,
}

const COUNTRIES: [(&str, &str); 6] =
    [("DE", "de-DE"), ("FR", "fr-FR"), ("GB", "en-GB"), ("NL", "nl-NL"), ("AT", "de-AT"), ("US", "en-US")];
/// User agents with the window they have; the first three are desktops.
const USER_AGENTS: [(&str, &str); 6] = [
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
        "1920x955",
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15",
        "1440x789",
    ),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "1680x920"),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
        "393x659",
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36",
        "412x785",
    ),
    (
        "Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
        "820x1106",
    ),
];

impl Person {
    /// The person with this number.
    pub(crate) fn of(seed: u64, number: u32) -> Self {
        let mut random = Random::of(&[seed, PERSON, u64::from(number)]);
        // Rare, medium and frequent visitors.
        let sessions_ppm =
            [100_000, 400_000, 1_200_000].get(random.weighted(&[60, 30, 10])).copied().unwrap_or(100_000);
        let bell = random.bell();
        let buys_ppm = grow(8_500, bell * 8 / 700);
        let mut channel_weights = Channel::ALL.map(|channel| channel.facts().weight * 10);
        // Those who buy get the newsletter: what it does and whom it reaches are not the same.
        if let Some(email) = channel_weights.get_mut(Channel::Email.index()) {
            *email = if bell > 500 { *email * 3 } else { *email / 2 };
        }
        let (country, language) =
            COUNTRIES.get(random.weighted(&[45, 15, 15, 10, 10, 5])).copied().unwrap_or(("DE", "de-DE"));
        Self {
            number,
            sessions_ppm,
            buys_ppm,
            devices: 1 + random.weighted(&[65, 28, 7]) as u64,
            favourite: random.below(CATEGORY_COUNT),
            has_account: random.chance(400_000),
            refuses_consent: random.chance(60_000),
            channel_weights,
            country,
            language,
        }
    }

    /// Their user id.
    pub(crate) fn user(&self) -> String {
        format!("u{}", 100_000 + self.number)
    }

    /// One of their devices. The first is a telephone for half of the people, the second for the others.
    pub(crate) fn device(&self, seed: u64, number: u64, noise: bool) -> Device {
        let mut random = Random::of(&[seed, DEVICE, u64::from(self.number), number]);
        let mobile = (random.below(2) + number) % 2 == 1;
        let at = if mobile { 3 + random.weighted(&[40, 45, 15]) } else { random.weighted(&[60, 28, 12]) };
        let (user_agent, viewport) = USER_AGENTS.get(at).copied().unwrap_or_default();
        // One clock in a hundred is off, by up to three days.
        let wrong = random.chance(10_000);
        let off = random.between(-3 * crate::config::DAY_MS, 3 * crate::config::DAY_MS);
        Device {
            id: format!("{:016x}", hash(&[seed, DEVICE, u64::from(self.number), number, 1])),
            user_agent,
            mobile,
            viewport,
            clock_off_ms: if wrong && noise { off } else { 0 },
        }
    }
}
