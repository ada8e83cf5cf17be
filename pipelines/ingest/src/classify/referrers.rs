//! The referrer database: which hosts are search engines, social networks, mail services and so on.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::channel::Channel;

/// What a referring host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A search engine.
    Search,
    /// A social network or forum.
    Social,
    /// A video platform.
    Video,
    /// A mail service.
    Email,
    /// A marketplace or price comparison.
    Shopping,
    /// None of these.
    Referral,
}

impl Place {
    /// The channel of an untagged visit from there.
    pub fn channel(self) -> Channel {
        match self {
            Self::Search => Channel::OrganicSearch,
            Self::Social => Channel::OrganicSocial,
            Self::Video => Channel::Video,
            Self::Email => Channel::Email,
            Self::Shopping => Channel::Shopping,
            Self::Referral => Channel::Referral,
        }
    }

    fn parse(kind: &str) -> Option<Self> {
        Some(match kind {
            "search" => Self::Search,
            "social" => Self::Social,
            "video" => Self::Video,
            "email" => Self::Email,
            "shopping" => Self::Shopping,
            "referral" => Self::Referral,
            _ => return None,
        })
    }
}

type Table = BTreeMap<Box<str>, Place>;

/// The referrer database, by host and by the names campaigns use.
#[derive(Debug, Default)]
pub struct Referrers {
    /// Hosts, and `name.*` for any public suffix.
    hosts: Table,
    names: Table,
}

/// A line of the database that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the referrer database begins with the unknown kind {kind:?}")]
pub struct UnknownKind {
    /// From 1.
    pub line: usize,
    /// What it says.
    pub kind: String,
}

impl Referrers {
    /// The database that comes with Millstream, read once a process.
    pub fn built_in() -> &'static Self {
        // A test reads the same text strictly; a line it cannot read does not reach a release.
        static BUILT_IN: LazyLock<Referrers> =
            LazyLock::new(|| Referrers::parse(include_str!("referrers.txt")).unwrap_or_default());
        &BUILT_IN
    }

    /// Reads a database: a kind a line, then hosts and `=names`; `#` begins a comment.
    pub fn parse(text: &str) -> Result<Self, UnknownKind> {
        let mut referrers = Self::default();
        for (index, line) in text.lines().enumerate() {
            let mut words = line.split_whitespace();
            let Some(kind) = words.next().filter(|word| !word.starts_with('#')) else { continue };
            let place = Place::parse(kind).ok_or_else(|| UnknownKind { line: index + 1, kind: kind.to_owned() })?;
            for word in words {
                match word.strip_prefix('=') {
                    Some(name) => referrers.names.insert(name.into(), place),
                    None => referrers.hosts.insert(word.into(), place),
                };
            }
        }
        Ok(referrers)
    }

    /// What `host` is.
    pub fn place(&self, host: &str) -> Place {
        let host = lower(host);
        let host = host.as_ref();
        let mut best = None;
        for tail in tails(host) {
            if let Some(&place) = self.hosts.get(tail) {
                best = Some((tail.len(), place));
                break;
            }
        }
        // The same with the public suffix replaced: `google.*`. The more labels matched, the better.
        if let Some(suffix) = psl::suffix_str(host)
            && let Some(stem) = host.strip_suffix(suffix).filter(|stem| stem.ends_with('.'))
        {
            let any = format!("{stem}*");
            for tail in tails(&any) {
                if let Some(&place) = self.hosts.get(tail) {
                    let length = tail.len() - 1 + suffix.len();
                    if best.is_none_or(|(held, _)| length > held) {
                        best = Some((length, place));
                    }
                    break;
                }
            }
        }
        best.map_or(Place::Referral, |(_, place)| place)
    }

    /// What a campaign's `utm_source` names: an alias, or a host.
    pub fn named(&self, source: &str) -> Option<Place> {
        let source = lower(source.trim());
        if let Some(&place) = self.names.get(source.as_ref()) {
            return Some(place);
        }
        let host = source.contains('.').then(|| self.place(&source))?;
        (host != Place::Referral).then_some(host)
    }
}

fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) { text.to_ascii_lowercase().into() } else { text.into() }
}

/// `a.b.c`, `b.c`, `c`.
fn tails(host: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(host), |host| host.split_once('.').map(|(_, tail)| tail))
}

/// Whether two hosts belong to one registrable domain.
pub fn same_site(a: &str, b: &str) -> bool {
    if a.eq_ignore_ascii_case(b) {
        return !a.is_empty();
    }
    let (a, b) = (lower(a), lower(b));
    match (psl::domain_str(&a), psl::domain_str(&b)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_built_in_database_can_be_read() {
        let referrers = Referrers::parse(include_str!("referrers.txt")).unwrap();
        assert!(referrers.hosts.len() > 500, "{}", referrers.hosts.len());
        assert_eq!(
            Referrers::parse("search a.example\n\nserach b.example").unwrap_err(),
            UnknownKind { line: 3, kind: "serach".to_owned() }
        );
    }

    #[test]
    fn the_longest_match_holds() {
        let referrers = Referrers::built_in();
        for (host, place) in [
            ("www.google.com", Place::Search),
            ("google.co.uk", Place::Search),
            ("WWW.GOOGLE.com.ai", Place::Search),
            ("mail.google.com", Place::Email),
            ("accounts.google.com", Place::Referral),
            ("plus.google.com", Place::Social),
            ("shopping.google.de", Place::Shopping),
            ("mygoogle.com", Place::Referral),
            ("google.com.evil.example", Place::Referral),
            ("l.facebook.com", Place::Social),
            ("t.co", Place::Social),
            ("m.youtube.com", Place::Video),
            ("search.yahoo.co.jp", Place::Search),
            ("news.yahoo.com", Place::Referral),
            ("aws.amazon.com", Place::Referral),
            ("www.amazon.de", Place::Shopping),
            ("localhost", Place::Referral),
            ("192.168.0.1", Place::Referral),
            ("", Place::Referral),
        ] {
            assert_eq!(referrers.place(host), place, "{host}");
        }
    }

    #[test]
    fn one_site_is_one_registrable_domain() {
        assert!(same_site("www.shop.co.uk", "checkout.SHOP.co.uk"));
        assert!(!same_site("a.co.uk", "b.co.uk"));
        assert!(!same_site("one.github.io", "two.github.io"), "each is a site of its own");
        assert!(same_site("localhost", "localhost"));
        assert!(!same_site("", ""));
    }
}
