//! Which requests a machine sent, by what the User-Agent says of itself.
//!
//! Three kinds are told apart. A *declared* bot names itself (a crawler, a monitor, a preview fetcher) and is dropped. A *headless*
//! browser pretends to be a visitor and is kept as suspected. A *tool* (curl, an HTTP library) is suspected where the event names
//! it as the visitor's device; as the sender of a request it may be a shop's server, in its rights.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::bot_words;

/// What kind of machine a User-Agent names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Automation {
    /// None that it says.
    None,
    /// A bot that says so.
    Declared,
    /// A browser without a window, or under remote control.
    Headless,
    /// An HTTP library or command line tool.
    Tool,
}

/// What a User-Agent contains, as bits.
mod found {
    pub const DECLARED: u8 = 1;
    pub const HEADLESS: u8 = 2;
    pub const TOOL: u8 = 4;
    pub const OLD_BROWSER: u8 = 8;
    pub const VISITOR: u8 = 16;
    pub const COMPATIBLE: u8 = 32;
    pub const INNOCENT: u8 = 64;
}

/// All words in one automaton, so that a User-Agent is read once however many words there are.
struct Words {
    automaton: AhoCorasick,
    /// What each pattern means.
    kinds: Vec<u8>,
}

/// `None` only if the words could not be compiled, which a test rules out.
static WORDS: LazyLock<Option<Words>> = LazyLock::new(|| {
    let lists: [(&[&str], u8); 7] = [
        (bot_words::DECLARED, found::DECLARED),
        (bot_words::HEADLESS, found::HEADLESS),
        (bot_words::TOOLS, found::TOOL),
        (bot_words::OLD_BROWSERS, found::OLD_BROWSER),
        (bot_words::VISITORS, found::VISITOR),
        (&["compatible;"], found::COMPATIBLE),
        (bot_words::INNOCENT, found::INNOCENT),
    ];
    let words = lists.iter().flat_map(|(words, _)| words.iter());
    let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(words).ok()?;
    let kinds = lists.iter().flat_map(|(words, kind)| words.iter().map(|_| *kind)).collect();
    Some(Words { automaton, kinds })
});

/// What kind of machine `user_agent` names.
pub fn automation(user_agent: &str) -> Automation {
    let user_agent = user_agent.trim();
    if user_agent.is_empty() {
        return Automation::None;
    }
    let has = words_in(user_agent);
    // `(compatible; Name)` is how crawlers introduce themselves; of browsers only old ones did.
    let claims_compatibility = has & found::COMPATIBLE != 0 && has & found::OLD_BROWSER == 0;
    if has & found::HEADLESS != 0 {
        Automation::Headless
    } else if has & found::DECLARED != 0 || claims_compatibility {
        Automation::Declared
    } else if has & found::TOOL != 0 || has & found::VISITOR == 0 {
        // Browsers and phones name Mozilla, Opera or the device's platform; what names none is a program of its own.
        Automation::Tool
    } else {
        Automation::None
    }
}

fn words_in(user_agent: &str) -> u8 {
    let Some(Words { automaton, kinds }) = &*WORDS else { return found::VISITOR };
    let mut has = 0;
    let mut innocent = 0..0;
    for word in automaton.find_overlapping_iter(user_agent) {
        match kinds.get(word.pattern().as_usize()) {
            Some(&found::INNOCENT) => innocent = word.range(),
            Some(&found::DECLARED) if innocent.contains(&word.start()) => {}
            Some(kind) => has |= kind,
            None => {}
        }
    }
    let ends_as_bot = user_agent.len().checked_sub(3).and_then(|at| user_agent.get(at..));
    if ends_as_bot.is_some_and(|end| end.eq_ignore_ascii_case("bot")) && innocent.end != user_agent.len() {
        has |= found::DECLARED;
    }
    has
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_compile_and_each_counts() {
        assert!(WORDS.is_some());
        for word in bot_words::DECLARED {
            assert_eq!(automation(&format!("Mozilla/5.0 {word} x")), Automation::Declared, "{word}");
        }
        for word in bot_words::HEADLESS {
            assert_eq!(automation(&format!("Mozilla/5.0 {word}")), Automation::Headless, "{word}");
        }
        for word in bot_words::TOOLS {
            assert_eq!(automation(word), Automation::Tool, "{word}");
        }
    }

    #[test]
    fn names_that_only_look_like_bots() {
        for (user_agent, found) in [
            (
                "Mozilla/5.0 (Linux; Android 12; CUBOT X50) AppleWebKit/537.36 Chrome/99.0 Mobile Safari/537.36",
                Automation::None,
            ),
            ("Mozilla/5.0 (Linux; Android 12) CUBOT", Automation::None),
            ("Mozilla/5.0 (Linux; Android 12; CUBOT X50) Googlebot/2.1", Automation::Declared),
            ("Mozilla/5.0 SomeBot", Automation::Declared),
            ("Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1)", Automation::None),
            ("Mozilla/5.0 (compatible; Whatever)", Automation::Declared),
            ("MyShop/3.1 (iPhone; iOS 18.1)", Automation::None),
            ("PaymentService", Automation::Tool),
            ("curl/8.5.0", Automation::Tool),
            ("  ", Automation::None),
        ] {
            assert_eq!(automation(user_agent), found, "{user_agent}");
        }
    }
}
