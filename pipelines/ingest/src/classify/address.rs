//! The parts of a page address that classification looks at, without copying it.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// An address, cut into its parts. Anything at all can be cut; what is missing is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address<'a> {
    /// Before `://`.
    pub scheme: &'a str,
    /// Host without user, port or final dot, in the spelling of the address.
    pub host: &'a str,
    /// From the host's end to `?` or `#`.
    pub path: &'a str,
    /// Between `?` and `#`.
    pub query: &'a str,
}

impl<'a> Address<'a> {
    /// No address.
    pub const NONE: Address<'static> = Address { scheme: "", host: "", path: "", query: "" };

    /// Cuts an address.
    pub fn parse(url: &'a str) -> Self {
        let url = url.trim_ascii();
        let (scheme, start) = scheme_of(url);
        let (host_end, is_plain) = authority_end(url, start);
        let path_end = until(url, host_end, |rest| memchr2(b'?', b'#', rest));
        let query_end = until(url, path_end, |rest| memchr(b'#', rest));
        let authority = cut(url, start, host_end);
        // A bare path has no host.
        let authority = if start == 0 && !authority.contains('.') { "" } else { authority };
        let host = if is_plain { authority } else { host_of(authority) };
        Self {
            scheme,
            host: host.strip_suffix('.').unwrap_or(host),
            path: cut(url, host_end, path_end),
            query: cut(url, path_end + 1, query_end),
        }
    }

    /// The package of an `android-app://` referrer.
    pub fn app_package(&self) -> Option<&'a str> {
        self.scheme.eq_ignore_ascii_case("android-app").then_some(self.host)
    }

    /// The query's parameters in order, as written.
    pub fn parameters(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let query = self.query;
        let mut at = 0;
        std::iter::from_fn(move || {
            while at < query.len() {
                let end = until(query, at, |rest| memchr(b'&', rest));
                let equals = until(cut(query, 0, end), at, |rest| first(b'=', rest));
                let parameter = (cut(query, at, equals), cut(query, equals + 1, end));
                let empty = at == end;
                at = end + 1;
                if !empty {
                    return Some(parameter);
                }
            }
            None
        })
    }
}

/// The scheme, and where the authority begins.
#[inline]
fn scheme_of(url: &str) -> (&str, usize) {
    const USUAL: &str = "https";
    if url.starts_with("https://") {
        return (USUAL, USUAL.len() + 3);
    }
    let named = until(url, 0, |rest| rest.iter().position(|&byte| !is_of_scheme(byte)));
    match url.get(named..named + 3) {
        Some("://") => (cut(url, 0, named), named + 3),
        _ if url.starts_with("//") => ("", 2),
        _ => ("", 0),
    }
}

/// Where the authority that begins at `start` ends, and whether it is a host and nothing else, but for a final dot.
#[inline]
fn authority_end(url: &str, start: usize) -> (usize, bool) {
    let mut is_plain = true;
    let end = until(url, start, |rest| {
        rest.iter().position(|byte| {
            is_plain &= !matches!(byte, b'@' | b':' | b'[');
            matches!(byte, b'/' | b'?' | b'#')
        })
    });
    (end, is_plain)
}

/// Host of an authority: without user, port or brackets.
fn host_of(authority: &str) -> &str {
    let start = authority.bytes().rposition(|byte| byte == b'@').map_or(0, |at| at + 1);
    match authority.as_bytes().get(start) {
        Some(b'[') => cut(authority, start + 1, until(authority, start, |rest| first(b']', rest))),
        _ => cut(authority, start, until(authority, start, |rest| first(b':', rest))),
    }
}

fn is_of_scheme(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

/// The place that `find` finds in what follows `start`; the text's end where it finds none. Only ASCII bytes are looked for here, so
/// that the place is always between characters.
#[inline]
fn until(text: &str, start: usize, find: impl FnOnce(&[u8]) -> Option<usize>) -> usize {
    let rest = text.as_bytes().get(start..).unwrap_or_default();
    find(rest).map_or(text.len(), |at| start + at)
}

/// Where `byte` is. For what is short, as hosts and names are: there, a loop is over before a vector search has begun.
#[inline]
fn first(byte: u8, bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&other| other == byte)
}

/// The text from `start` to `end`; empty where there is none.
fn cut(text: &str, start: usize, end: usize) -> &str {
    text.get(start..end).unwrap_or_default()
}

/// An address without its fragment.
pub fn without_fragment(url: &str) -> &str {
    cut(url, 0, until(url, 0, |rest| memchr(b'#', rest)))
}

/// A query value's text: `+` is a space, `%xx` a byte. A broken escape stays as written; bytes that are no UTF-8 are replaced.
pub fn decode_query(value: &str) -> Cow<'_, str> {
    if !value.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Cow::Borrowed(value);
    }
    let bytes = value.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = match bytes.get(at..at + 3) {
            Some([b'%', high, low]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        match (byte, escaped) {
            (b'+', _) => decoded.push(b' '),
            (_, Some(escaped)) => {
                decoded.push(escaped);
                at += 2;
            }
            (byte, None) => decoded.push(byte),
        }
        at += 1;
    }
    match String::from_utf8(decoded) {
        Ok(text) => Cow::Owned(text),
        Err(broken) => Cow::Owned(String::from_utf8_lossy(broken.as_bytes()).into_owned()),
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cuts_addresses() {
        for (url, scheme, host, path, query) in [
            ("https://www.shop.example/a/b?x=1&y=2#top", "https", "www.shop.example", "/a/b", "x=1&y=2"),
            ("http://user:pw@shop.example:8080", "http", "shop.example", "", ""),
            ("https://shop.example?gclid=1", "https", "shop.example", "", "gclid=1"),
            ("https://[2001:db8::1]:80/x", "https", "2001:db8::1", "/x", ""),
            ("//cdn.example./x", "", "cdn.example", "/x", ""),
            ("shop.example/a", "", "shop.example", "/a", ""),
            ("/cart?step=2", "", "", "/cart", "step=2"),
            ("/out?to=https://x.example/", "", "", "/out", "to=https://x.example/"),
            (" https://shop.example/ü?q=ä ", "https", "shop.example", "/ü", "q=ä"),
            ("android-app://com.google.android.gm/", "android-app", "com.google.android.gm", "/", ""),
            ("https://user@shop.example./x", "https", "shop.example", "/x", ""),
            ("https:/shop.example", "", "", "/shop.example", ""),
            ("HTTPS://Shop.Example#x", "HTTPS", "Shop.Example", "", ""),
            ("", "", "", "", ""),
        ] {
            assert_eq!(Address::parse(url), Address { scheme, host, path, query }, "{url}");
        }
    }

    #[test]
    fn lists_parameters() {
        let list = |url| Address::parse(url).parameters().collect::<Vec<_>>();
        assert_eq!(list("https://a.example/?x=1&&y&z=2=3&=4"), [("x", "1"), ("y", ""), ("z", "2=3"), ("", "4")]);
        assert_eq!(list("https://a.example/"), []);
    }

    #[test]
    fn decodes_query_values() {
        assert_eq!(decode_query("spring+sale%202026%21"), "spring sale 2026!");
        assert_eq!(decode_query("100%"), "100%");
        assert_eq!(decode_query("%zz%C3%A4%ff"), "%zzä\u{fffd}");
        assert!(matches!(decode_query("plain"), Cow::Borrowed("plain")));
    }

    proptest! {
        #[test]
        fn cuts_anything(text in ".{0,80}") {
            let address = Address::parse(&text);
            address.parameters().for_each(|(_, value)| { decode_query(value); });
        }
    }
}
