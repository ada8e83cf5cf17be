//! Events as JSON bytes, written in order.

/// A JSON object in the making.
#[derive(Debug, Clone)]
pub(crate) struct Object(Vec<u8>);

impl Object {
    /// An empty object.
    pub(crate) fn new() -> Self {
        let mut bytes = Vec::with_capacity(768);
        bytes.push(b'{');
        Self(bytes)
    }

    fn key(&mut self, key: &str) {
        if !matches!(self.0.last(), Some(b'{' | b'[')) {
            self.0.push(b',');
        }
        self.string(key);
        self.0.push(b':');
    }

    fn string(&mut self, text: &str) {
        self.0.push(b'"');
        for byte in text.bytes() {
            // No text here has control characters.
            if matches!(byte, b'"' | b'\\') {
                self.0.push(b'\\');
            }
            self.0.push(byte);
        }
        self.0.push(b'"');
    }

    /// A text member.
    pub(crate) fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.string(text);
    }

    /// A whole number.
    pub(crate) fn number(&mut self, key: &str, number: i64) {
        self.key(key);
        self.0.extend_from_slice(number.to_string().as_bytes());
    }

    /// Yes or no.
    pub(crate) fn flag(&mut self, key: &str, flag: bool) {
        self.key(key);
        self.0.extend_from_slice(if flag { b"true" } else { b"false" });
    }

    /// An amount of a currency with two digits.
    pub(crate) fn money(&mut self, key: &str, minor: i64) {
        self.key(key);
        self.0.extend_from_slice(format!("{}.{:02}", minor / 100, minor % 100).as_bytes());
    }

    /// A time, as ISO 8601 in UTC.
    pub(crate) fn time(&mut self, key: &str, time_ms: i64) {
        self.text(key, &iso(time_ms));
    }

    /// An object member.
    pub(crate) fn object(&mut self, key: &str, fill: impl FnOnce(&mut Self)) {
        self.key(key);
        self.0.push(b'{');
        fill(self);
        self.0.push(b'}');
    }

    /// A list of objects.
    pub(crate) fn list<T>(&mut self, key: &str, items: &[T], mut fill: impl FnMut(&mut Self, &T)) {
        self.key(key);
        self.0.push(b'[');
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.0.push(b',');
            }
            self.0.push(b'{');
            fill(self, item);
            self.0.push(b'}');
        }
        self.0.push(b']');
    }

    /// Bytes so far, with the closing brace.
    pub(crate) fn len(&self) -> usize {
        self.0.len() + 1
    }

    /// The whole object.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

/// ISO 8601 with milliseconds, UTC.
pub(crate) fn iso(time_ms: i64) -> String {
    let (days, ms) = (time_ms.div_euclid(86_400_000), time_ms.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1_000)
}

/// Year, month and day of a day since 1970: counting from March of year 0, so that leap days end a year, in eras of 400 years.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times_are_civil() {
        assert_eq!(iso(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(1_780_272_000_000), "2026-06-01T00:00:00.000Z");
        assert_eq!(iso(951_827_696_789), "2000-02-29T12:34:56.789Z");
        assert_eq!(iso(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(iso(4_107_542_399_000), "2100-02-28T23:59:59.000Z");
    }

    #[test]
    fn objects_nest() {
        let mut object = Object::new();
        object.text("a", "12\" é");
        object.object("b", |inner| {
            inner.money("c", 1_205);
            inner.list("d", &[1, 2], |item, n| item.number("n", *n));
        });
        object.flag("e", true);
        let length = object.len();
        let bytes = object.finish();
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            r#"{"a":"12\" é","b":{"c":12.05,"d":[{"n":1},{"n":2}]},"e":true}"#
        );
        assert_eq!(length, bytes.len());
    }
}
