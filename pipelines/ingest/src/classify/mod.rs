//! What an event is, beyond what it says: its channel, its device, and whether a machine sent it.
//!
//! Everything here is a pure function of one event. [`Classifier`] only remembers recent answers, so that the same User-Agent,
//! referrer or campaign is not looked into twice; what it remembers never changes an answer.

pub mod address;
pub mod bot;
mod bot_words;
pub mod cache;
pub mod channel;
pub mod device;
pub mod referrers;

use address::Address;
use bot::Automation;
use cache::Cache;
use channel::{Campaign, Channel, ClickId};
use device::Device;
use referrers::{Place, Referrers};

/// What the User-Agent says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agent {
    /// The device.
    pub device: Device,
    /// Whether a machine sent the request.
    pub automation: Automation,
}

impl Agent {
    /// What is known where no User-Agent came.
    pub const UNKNOWN: Self = Self { device: Device::UNKNOWN, automation: Automation::None };

    /// Reads a User-Agent.
    pub fn parse(user_agent: &str) -> Self {
        let automation = bot::automation(user_agent);
        Self { device: device::device(user_agent, automation), automation }
    }
}

/// Where a referrer leads, seen from a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    SameSite,
    Elsewhere(Place),
}

/// Classifies events, remembering recent User-Agents, referrers and campaigns. Bounded: three tables of fixed size.
#[derive(Debug)]
pub struct Classifier {
    referrers: &'static Referrers,
    agents: Cache<Agent>,
    origins: Cache<Origin>,
    campaigns: Cache<Option<Channel>>,
}

impl Default for Classifier {
    fn default() -> Self {
        Self {
            referrers: Referrers::built_in(),
            agents: Cache::new(4_096),
            origins: Cache::new(4_096),
            campaigns: Cache::new(4_096),
        }
    }
}

impl Classifier {
    /// Nothing remembered yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the User-Agent says; nothing where there is none.
    pub fn agent(&mut self, user_agent: Option<&str>) -> Agent {
        match user_agent {
            None | Some("") => Agent::UNKNOWN,
            Some(text) => self.agents.get_or_insert_with([text], || Agent::parse(text)),
        }
    }

    /// The channel that brought a visitor to `page`.
    pub fn channel(
        &mut self,
        page: &Address<'_>,
        referrer: Option<&str>,
        campaign: &Campaign<'_>,
        click_id: Option<ClickId>,
    ) -> Channel {
        let referrers = self.referrers;
        let Campaign { source, medium, name } = *campaign;
        let tagged = match (source, medium, name) {
            ("", "", "") => None,
            tags => self.campaigns.get_or_insert_with(tags.into(), || channel::by_campaign(campaign, referrers)),
        };
        match (tagged, click_id) {
            (Some(channel), _) if channel != Channel::Other => return channel,
            (_, Some(click_id)) => return click_id.channel(),
            _ => {}
        }
        let by_referrer = match referrer.filter(|referrer| !referrer.is_empty()) {
            None => Channel::Direct,
            Some(referrer) => self.by_referrer(page.host, referrer),
        };
        // Tags that say nothing known still say that a campaign brought the visitor: neither direct nor internal.
        match (tagged, by_referrer) {
            (Some(other), Channel::Direct | Channel::Internal) => other,
            (_, channel) => channel,
        }
    }

    fn by_referrer(&mut self, page_host: &str, referrer: &str) -> Channel {
        let address = Address::parse(referrer);
        if let Some(package) = address.app_package() {
            return channel::by_app(package);
        }
        if address.host.is_empty() {
            return Channel::Referral;
        }
        if address.host.eq_ignore_ascii_case(page_host) {
            return Channel::Internal;
        }
        let referrers = self.referrers;
        let origin = self.origins.get_or_insert_with([page_host, address.host], || {
            if referrers::same_site(page_host, address.host) {
                Origin::SameSite
            } else {
                Origin::Elsewhere(referrers.place(address.host))
            }
        });
        match origin {
            Origin::SameSite => Channel::Internal,
            Origin::Elsewhere(place) => place.channel(),
        }
    }
}
