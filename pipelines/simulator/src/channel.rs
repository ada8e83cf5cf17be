//! Where visitors come from, and what each way truly does.

/// A channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Typed in or bookmarked.
    Direct,
    /// A search engine's free results.
    OrganicSearch,
    /// A search engine's advertisements.
    PaidSearch,
    /// A newsletter.
    Email,
    /// A social network's free posts.
    Social,
    /// An affiliate's link.
    Affiliate,
    /// Banners.
    Display,
}

/// What a channel is made of.
pub(crate) struct ChannelFacts {
    /// Its name in the ground truth.
    pub(crate) name: &'static str,
    /// How much a touch raises the chance to buy, in thousandths of the person's own: the truth that attribution looks for.
    pub(crate) lift_permille: u64,
    /// Weight among sessions of an average person.
    pub(crate) weight: u64,
    /// What the landing page's address carries.
    pub(crate) query: &'static str,
    /// The referrer.
    pub(crate) referrer: &'static str,
    /// What it costs a day and a thousand people, in minor units; 0 where it costs nothing.
    pub(crate) daily_spend_minor: u64,
}

impl Channel {
    /// All channels.
    pub const ALL: [Self; 7] = [
        Self::Direct,
        Self::OrganicSearch,
        Self::PaidSearch,
        Self::Email,
        Self::Social,
        Self::Affiliate,
        Self::Display,
    ];

    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// What the channel is made of. Display is seen by many and does little; e-mail goes to those who buy anyway, and does a lot too:
    /// counting last clicks overrates the one and cannot tell the other's two parts apart.
    pub(crate) fn facts(self) -> ChannelFacts {
        let facts = |name, lift_permille, weight, query, referrer, daily_spend_minor| ChannelFacts {
            name,
            lift_permille,
            weight,
            query,
            referrer,
            daily_spend_minor,
        };
        match self {
            Self::Direct => facts("direct", 0, 30, "", "", 0),
            Self::OrganicSearch => facts("organic_search", 200, 26, "", "https://www.google.com/", 0),
            Self::PaidSearch => facts(
                "paid_search",
                600,
                14,
                "?utm_source=google&utm_medium=cpc&utm_campaign=brand-summer&gclid=Cj0KCQjw",
                "https://www.google.com/",
                900,
            ),
            Self::Email => {
                facts("email", 900, 8, "?utm_source=newsletter&utm_medium=email&utm_campaign=weekly", "", 120)
            }
            Self::Social => facts("organic_social", 100, 10, "", "https://www.instagram.com/", 0),
            Self::Affiliate => facts(
                "affiliate",
                400,
                5,
                "?utm_source=partnerize&utm_medium=affiliate&utm_campaign=deals",
                "https://deals.example/",
                250,
            ),
            Self::Display => facts(
                "display",
                50,
                7,
                "?utm_source=gdn&utm_medium=display&utm_campaign=retarget",
                "https://news.example/",
                600,
            ),
        }
    }

    /// Its name in the ground truth.
    pub fn name(self) -> &'static str {
        self.facts().name
    }
}

/// A session that a channel brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Touch {
    /// Index of the channel, plus one; 0 where there was none.
    pub(crate) channel: u8,
    /// Day of the simulation.
    pub(crate) day: u16,
}

/// Days after which a touch is forgotten.
const FORGOTTEN_DAYS: u16 = 8;

/// Adds up what touches do on `day`: for each channel its lift in thousandths of the person's own chance. A touch counts half as much
/// every other day.
pub(crate) fn lifts(touches: impl IntoIterator<Item = Touch>, day: u16) -> [u64; 7] {
    let mut lifts = [0; 7];
    for touch in touches {
        let age_days = day.saturating_sub(touch.day);
        let channel = usize::from(touch.channel).checked_sub(1).and_then(|index| Channel::ALL.get(index));
        let (Some(channel), true) = (channel, age_days < FORGOTTEN_DAYS) else { continue };
        if let Some(lift) = lifts.get_mut(channel.index()) {
            *lift += channel.facts().lift_permille >> (age_days / 2);
        }
    }
    lifts
}
