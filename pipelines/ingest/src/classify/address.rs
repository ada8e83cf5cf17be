//! The parts of a page address that classification looks at, without copying it.

use std::borrow::Cow;

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
        let url = without_fragment(url.trim());
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) => {
                (scheme, rest)
            }
            _ => ("", url.strip_prefix("//").unwrap_or(url)),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        // A bare path has no host.
        let authority =
            if scheme.is_empty() && !url.starts_with("//") && !authority.contains('.') { "" } else { authority };
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = match host.strip_prefix('[') {
            Some(v6) => v6.split_once(']').map_or(v6, |(v6, _)| v6),
            None => host.split_once(':').map_or(host, |(host, _)| host),
        };
        Self { scheme, host: host.strip_suffix('.').unwrap_or(host), path, query }
    }

    /// The package of an `android-app://` referrer.
    pub fn app_package(&self) -> Option<&'a str> {
        self.scheme.eq_ignore_ascii_case("android-app").then_some(self.host)
    }

    /// The query's parameters in order, as written.
    pub fn parameters(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.query.split('&').filter(|part| !part.is_empty()).map(|part| part.split_once('=').unwrap_or((part, "")))
    }
}

/// An address without its fragment.
pub fn without_fragment(url: &str) -> &str {
    url.split_once('#').map_or(url, |(url, _)| url)
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
            ("android-app://com.google.android.gm/", "android-app", "com.google.android.gm", "/", ""),
            ("", "", "", "", ""),
        ] {
            assert_eq!(Address::parse(url), Address { scheme, host, path, query }, "{url}");
        }
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
