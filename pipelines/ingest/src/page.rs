//! The page of an event: its address without fragment, and what the address says about where the visitor came from.

use std::borrow::Cow;

use millstream_schemas::input::{InputCampaign, InputPage};

use crate::classify::Classifier;
use crate::classify::address::{Address, decode_query, without_fragment};
use crate::classify::channel::{Campaign, Channel, ClickId};

/// What a page's address says.
#[derive(Debug, Default)]
pub struct Page<'a> {
    /// The address without fragment.
    pub url: Option<&'a str>,
    /// Source, medium, name, term and content: of the event where it names them, else of the address.
    pub tags: [Option<Cow<'a, str>>; 5],
    /// The first known click id.
    pub click_id: Option<ClickId>,
    /// The channel.
    pub channel: Option<Channel>,
}

const TAGS: [&str; 5] = ["source", "medium", "campaign", "term", "content"];

/// Reads the page of an event. An event without page address has no channel, unless it names a campaign itself.
pub fn read<'a>(
    page: Option<&'a InputPage<'a>>,
    campaign: Option<&'a InputCampaign<'a>>,
    classifier: &mut Classifier,
) -> Page<'a> {
    let url = page.and_then(|page| page.url.as_deref()).map(without_fragment);
    let mut read = Page { url, ..Page::default() };
    let address = url.map_or(Address::NONE, Address::parse);
    for (key, value) in address.parameters() {
        if let Some(name) = tag_name(key) {
            let tag = TAGS.iter().position(|tag| is_in_any_case(name, tag)).and_then(|at| read.tags.get_mut(at));
            if let Some(tag) = tag.filter(|tag| tag.is_none() && !value.is_empty()) {
                *tag = Some(decode_query(value));
            }
        } else if read.click_id.is_none() && !value.is_empty() {
            read.click_id = ClickId::parse(key);
        }
    }
    if let Some(own) = campaign {
        let own = [&own.source, &own.medium, &own.name, &own.term, &own.content];
        for (tag, own) in read.tags.iter_mut().zip(own) {
            if let Some(own) = own {
                *tag = Some(Cow::Borrowed(own));
            }
        }
    }
    if url.is_some() || campaign.is_some() {
        let [source, medium, name, ..] = &read.tags;
        let campaign = Campaign {
            source: source.as_deref().unwrap_or_default(),
            medium: medium.as_deref().unwrap_or_default(),
            name: name.as_deref().unwrap_or_default(),
        };
        let referrer = page.and_then(|page| page.referrer.as_deref());
        read.channel = Some(classifier.channel(&address, referrer, &campaign, read.click_id));
    }
    read
}

/// `source` of `utm_source`.
fn tag_name(key: &str) -> Option<&str> {
    let (prefix, name) = key.split_at_checked(4)?;
    is_in_any_case(prefix, "utm_").then_some(name)
}

/// Almost all write tags in lower case, which is compared soonest.
#[inline]
fn is_in_any_case(word: &str, lower: &str) -> bool {
    word == lower || word.eq_ignore_ascii_case(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags<'a>(page: &Page<'a>) -> Vec<Option<String>> {
        page.tags.iter().map(|tag| tag.as_deref().map(str::to_owned)).collect()
    }

    #[test]
    fn tags_of_the_event_go_before_those_of_the_address() {
        let input = InputPage {
            url: Some(
                "https://shop.example/?utm_source=Spring%20Mail&UTM_MEDIUM=email&utm_term=&gclid=1&fbclid=2#top".into(),
            ),
            ..InputPage::default()
        };
        let campaign = InputCampaign { source: Some("crm".into()), ..InputCampaign::default() };
        let mut classifier = Classifier::new();
        let page = read(Some(&input), None, &mut classifier);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(tags(&page), [some("Spring Mail"), some("email"), None, None, None]);
        assert_eq!(
            page.url,
            Some("https://shop.example/?utm_source=Spring%20Mail&UTM_MEDIUM=email&utm_term=&gclid=1&fbclid=2")
        );
        assert_eq!(page.click_id.map(ClickId::symbol), Some("gclid"));
        assert_eq!(page.channel, Some(Channel::Email));
        let page = read(Some(&input), Some(&campaign), &mut classifier);
        assert_eq!(tags(&page)[0], some("crm"));
    }

    #[test]
    fn no_page_no_channel() {
        assert_eq!(read(None, None, &mut Classifier::new()).channel, None);
        let untold = InputPage { title: Some("Home".into()), ..InputPage::default() };
        assert_eq!(read(Some(&untold), None, &mut Classifier::new()).channel, None);
    }
}
