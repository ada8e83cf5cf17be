//! Which channel brought a visitor: campaign tags first, then click ids, then the referrer.
//!
//! | tags (`utm_*`, any spelling of case) | channel |
//! |---|---|
//! | medium `cpc`, `ppc`, `paid…`, `retargeting`, … and a search / social / video / shopping source | paid_search / paid_social / video / shopping |
//! | medium `display`, `banner`, `cpm`, `interstitial`, … | display |
//! | medium `cpc` or `ppc` and any other source | paid_search |
//! | medium `affiliate` | affiliate |
//! | medium or source `email`, `newsletter`, … | email |
//! | medium or source `sms`; medium `…push`, `notification` | sms; push |
//! | medium `social`, or a social source | organic_social |
//! | medium `organic`, or a search source | organic_search |
//! | medium `…video…`, or a video source; a shopping source or campaign | video; shopping |
//! | medium `referral`, `app`, `link` | referral |
//! | tags that say none of these, with neither click id nor foreign referrer | other |
//!
//! A click id decides where the tags do not. Without either, the referrer's place in the database does; the same registrable
//! domain is `internal`, no referrer is `direct`.

use super::referrers::{Place, Referrers};

/// A channel; the symbol of `channel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the table above says what each is")]
pub enum Channel {
    Direct,
    Internal,
    OrganicSearch,
    PaidSearch,
    OrganicSocial,
    PaidSocial,
    Email,
    Display,
    Affiliate,
    Referral,
    Shopping,
    Video,
    Sms,
    Push,
    Other,
    /// The event has no page.
    None,
}

impl Channel {
    /// The symbol written to records.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Internal => "internal",
            Self::OrganicSearch => "organic_search",
            Self::PaidSearch => "paid_search",
            Self::OrganicSocial => "organic_social",
            Self::PaidSocial => "paid_social",
            Self::Email => "email",
            Self::Display => "display",
            Self::Affiliate => "affiliate",
            Self::Referral => "referral",
            Self::Shopping => "shopping",
            Self::Video => "video",
            Self::Sms => "sms",
            Self::Push => "push",
            Self::Other => "other",
            Self::None => "none",
        }
    }
}

/// The campaign tags that a channel depends on; empty where missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Campaign<'a> {
    /// `utm_source`.
    pub source: &'a str,
    /// `utm_medium`.
    pub medium: &'a str,
    /// `utm_campaign`.
    pub name: &'a str,
}

/// An advertiser's click id in the page address; the symbol of `click_id_kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClickId {
    kind: &'static str,
    channel: Channel,
}

/// The click ids known, and what they mean where the tags are silent. `fbclid` and `igshid` are put on unpaid links too.
const CLICK_IDS: [(&str, Channel); 26] = [
    ("gclid", Channel::PaidSearch),
    ("gbraid", Channel::PaidSearch),
    ("wbraid", Channel::PaidSearch),
    ("gclsrc", Channel::PaidSearch),
    ("msclkid", Channel::PaidSearch),
    ("yclid", Channel::PaidSearch),
    ("dclid", Channel::Display),
    ("srsltid", Channel::Shopping),
    ("fbclid", Channel::OrganicSocial),
    ("igshid", Channel::OrganicSocial),
    ("igsh", Channel::OrganicSocial),
    ("ttclid", Channel::PaidSocial),
    ("twclid", Channel::PaidSocial),
    ("li_fat_id", Channel::PaidSocial),
    ("ScCid", Channel::PaidSocial),
    ("epik", Channel::PaidSocial),
    ("rdt_cid", Channel::PaidSocial),
    ("vmcid", Channel::Display),
    ("obOrigUrl", Channel::Display),
    ("tblci", Channel::Display),
    ("irclickid", Channel::Affiliate),
    ("awc", Channel::Affiliate),
    ("ranSiteID", Channel::Affiliate),
    ("cjevent", Channel::Affiliate),
    ("mc_eid", Channel::Email),
    ("_kx", Channel::Email),
];

impl ClickId {
    /// The click id that a query parameter of this name is.
    pub fn parse(parameter: &str) -> Option<Self> {
        // Most parameters are none: their length tells soonest.
        if !(3..=11).contains(&parameter.len()) {
            return None;
        }
        CLICK_IDS
            .iter()
            .find(|(kind, _)| kind.eq_ignore_ascii_case(parameter))
            .map(|&(kind, channel)| Self { kind, channel })
    }

    /// The symbol written to records.
    pub fn symbol(self) -> &'static str {
        self.kind
    }

    /// The channel where no tag says more.
    pub fn channel(self) -> Channel {
        self.channel
    }
}

/// The channel that the tags name; `None` where there are no tags, [`Channel::Other`] where they name none.
pub fn by_campaign(campaign: &Campaign<'_>, referrers: &Referrers) -> Option<Channel> {
    if campaign.source.is_empty() && campaign.medium.is_empty() && campaign.name.is_empty() {
        return None;
    }
    let source = campaign.source.trim().to_ascii_lowercase();
    let medium = campaign.medium.trim().to_ascii_lowercase().replace([' ', '_'], "-");
    let name = campaign.name.trim().to_ascii_lowercase();
    let place = referrers.named(&source);
    let shopping = place == Some(Place::Shopping) || names_shopping(&name);
    if is_paid(&medium) {
        return Some(match place {
            _ if shopping => Channel::Shopping,
            Some(Place::Search) => Channel::PaidSearch,
            Some(Place::Social) => Channel::PaidSocial,
            Some(Place::Video) => Channel::Video,
            _ if is_display(&medium) => Channel::Display,
            _ if matches!(medium.as_str(), "cpc" | "ppc") => Channel::PaidSearch,
            _ => Channel::Other,
        });
    }
    Some(match medium.as_str() {
        medium if is_display(medium) => Channel::Display,
        "affiliate" | "affiliates" | "partner" => Channel::Affiliate,
        medium if is_email(medium) || is_email(&source) => Channel::Email,
        "sms" | "mms" => Channel::Sms,
        "mobile" | "notification" | "firebase" => Channel::Push,
        medium if medium.ends_with("push") || source == "push" || source == "firebase" => Channel::Push,
        _ if source == "sms" => Channel::Sms,
        "social" | "social-network" | "social-media" | "sm" | "organic-social" => Channel::OrganicSocial,
        medium if medium.contains("video") => Channel::Video,
        _ if shopping => Channel::Shopping,
        "organic" => Channel::OrganicSearch,
        "referral" | "app" | "link" => Channel::Referral,
        _ => match place {
            Some(Place::Referral) | None => Channel::Other,
            Some(place) => place.channel(),
        },
    })
}

fn is_paid(medium: &str) -> bool {
    medium.contains("cp")
        || medium == "ppc"
        || medium == "retargeting"
        || medium == "remarketing"
        || medium.starts_with("paid")
}

fn is_display(medium: &str) -> bool {
    matches!(medium, "display" | "banner" | "expandable" | "interstitial" | "cpm" | "native" | "programmatic")
}

fn is_email(word: &str) -> bool {
    matches!(word, "email" | "e-mail" | "mail" | "newsletter")
}

fn names_shopping(campaign: &str) -> bool {
    // "shop" as a word or its beginning; "workshop" and "photoshop" are something else.
    campaign
        .match_indices("shop")
        .any(|(at, _)| !campaign.get(..at).is_some_and(|before| before.ends_with(|c: char| c.is_ascii_alphabetic())))
}

/// The channel of a visit from an Android app.
pub fn by_app(package: &str) -> Channel {
    match package {
        "com.google.android.googlequicksearchbox" | "com.google.android.googlequicksearchbox.beta" => {
            Channel::OrganicSearch
        }
        "com.google.android.gm" | "com.microsoft.office.outlook" | "com.yahoo.mobile.client.android.mail" => {
            Channel::Email
        }
        "com.google.android.youtube" => Channel::Video,
        "com.facebook.katana"
        | "com.facebook.orca"
        | "com.facebook.lite"
        | "com.instagram.android"
        | "com.twitter.android"
        | "com.linkedin.android"
        | "com.pinterest"
        | "com.reddit.frontpage"
        | "com.zhiliaoapp.musically"
        | "com.snapchat.android"
        | "org.telegram.messenger"
        | "com.whatsapp"
        | "com.tencent.mm"
        | "com.vkontakte.android" => Channel::OrganicSocial,
        _ => Channel::Referral,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::Classifier;
    use crate::classify::address::Address;

    /// Channel of a visit to `url` from `referrer`, tags and click id taken from the address.
    fn visit(url: &str, referrer: &str) -> Channel {
        let page = Address::parse(url);
        let tag = |name: &str| page.parameters().find(|(key, _)| *key == name).map_or("", |(_, value)| value);
        let campaign = Campaign { source: tag("utm_source"), medium: tag("utm_medium"), name: tag("utm_campaign") };
        let click_id = page.parameters().find_map(|(key, _)| ClickId::parse(key));
        Classifier::new().channel(&page, Some(referrer), &campaign, click_id)
    }

    #[test]
    fn visits_by_hand() {
        use Channel::*;
        let shop = "https://www.shop.example/";
        for (query, referrer, channel) in [
            ("", "", Direct),
            ("", "https://www.shop.example/sale", Internal),
            ("", "https://blog.shop.example/", Internal),
            ("", "https://www.google.com/", OrganicSearch),
            ("", "https://duckduckgo.com/", OrganicSearch),
            ("", "https://l.instagram.com/", OrganicSocial),
            ("", "https://t.co/abc", OrganicSocial),
            ("", "https://out.reddit.com/t3", OrganicSocial),
            ("", "https://mail.google.com/mail/u/0/", Email),
            ("", "https://www.youtube.com/watch?v=1", Video),
            ("", "https://www.idealo.de/preisvergleich", Shopping),
            ("", "https://blog.example/best-shops", Referral),
            ("", "android-app://com.google.android.gm/", Email),
            ("", "android-app://com.google.android.googlequicksearchbox/", OrganicSearch),
            ("", "android-app://com.example.news/", Referral),
            ("", "garbage", Referral),
            ("?gclid=abc", "https://www.google.com/", PaidSearch),
            ("?GCLID=abc", "", PaidSearch),
            ("?msclkid=1", "https://www.bing.com/", PaidSearch),
            ("?fbclid=1", "https://l.facebook.com/", OrganicSocial),
            ("?ttclid=1", "", PaidSocial),
            ("?dclid=1", "", Display),
            ("?awc=1", "https://partner.example/", Affiliate),
            ("?mc_eid=1", "", Email),
            ("?utm_source=google&utm_medium=cpc", "https://www.google.com/", PaidSearch),
            ("?utm_source=Google&utm_medium=CPC", "", PaidSearch),
            ("?utm_source=google&utm_medium=organic", "", OrganicSearch),
            ("?utm_source=google", "", OrganicSearch),
            ("?utm_source=facebook&utm_medium=paid_social", "", PaidSocial),
            ("?utm_source=facebook&utm_medium=paid_social&fbclid=1", "https://m.facebook.com/", PaidSocial),
            ("?utm_source=ig&utm_medium=social", "", OrganicSocial),
            ("?utm_source=l.instagram.com&utm_medium=x", "", OrganicSocial),
            ("?utm_source=newsletter&utm_medium=email", "https://www.shop.example/", Email),
            ("?utm_source=spring&utm_medium=E_Mail", "", Email),
            ("?utm_source=klaviyo&utm_medium=flow", "", Email),
            ("?utm_source=criteo&utm_medium=display", "", Display),
            ("?utm_source=dv360&utm_medium=cpm", "", Display),
            ("?utm_source=awin&utm_medium=affiliate", "", Affiliate),
            ("?utm_source=youtube&utm_medium=cpv", "", Video),
            ("?utm_source=youtube", "", Video),
            ("?utm_source=idealo&utm_medium=cpc", "", Shopping),
            ("?utm_source=google&utm_medium=cpc&utm_campaign=shopping_de", "", Shopping),
            ("?utm_source=google&utm_medium=cpc&utm_campaign=workshop", "", PaidSearch),
            ("?utm_source=attentive&utm_medium=sms", "", Sms),
            ("?utm_source=app&utm_medium=web-push", "", Push),
            ("?utm_source=onesignal&utm_medium=notification", "", Push),
            ("?utm_source=partnerblog&utm_medium=referral", "", Referral),
            ("?utm_source=flyer&utm_medium=qr", "", Other),
            ("?utm_source=flyer&utm_medium=qr", "https://www.shop.example/", Other),
            ("?utm_source=flyer&utm_medium=qr", "https://www.bing.com/", OrganicSearch),
            ("?utm_source=flyer&utm_medium=qr&gclid=1", "", PaidSearch),
            ("?utm_source=agency&utm_medium=retargeting", "", Other),
        ] {
            assert_eq!(visit(&format!("{shop}{query}"), referrer), channel, "{query} from {referrer:?}");
        }
    }

    #[test]
    fn click_ids_are_told_apart() {
        for (kind, channel) in CLICK_IDS {
            let found = ClickId::parse(&kind.to_ascii_uppercase()).unwrap();
            assert_eq!((found.symbol(), found.channel()), (kind, channel));
        }
        assert_eq!(ClickId::parse("clid"), None);
    }
}
