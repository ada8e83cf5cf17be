//! Consent purposes, as bits.

/// What the shop needs to run at all: always allowed.
pub const NECESSARY: i32 = 1;
/// Measuring what visitors do.
pub const ANALYTICS: i32 = 2;
/// Making the shop different for this visitor.
pub const PERSONALIZATION: i32 = 4;
/// Advertising, on and off the shop.
pub const ADVERTISING: i32 = 8;
/// All purposes there are.
pub const ALL: i32 = NECESSARY | ANALYTICS | PERSONALIZATION | ADVERTISING;

/// The purposes and their names, lowest bit first.
pub const NAMES: [(&str, i32); 4] = [
    ("necessary", NECESSARY),
    ("analytics", ANALYTICS),
    ("personalization", PERSONALIZATION),
    ("advertising", ADVERTISING),
];

/// The bit of a purpose; `None` where there is no such purpose.
pub fn parse(name: &str) -> Option<i32> {
    NAMES.iter().find(|(candidate, _)| *candidate == name).map(|(_, bit)| *bit)
}

/// The bits of a list of names separated by commas; the first unknown name as the error.
pub fn parse_list(list: &str) -> Result<i32, &str> {
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| parse(name).ok_or(name)).try_fold(0, |bits, bit| Ok(bits | bit?))
}

/// The names of the purposes in `bits`, separated by commas.
pub fn format(bits: i32) -> String {
    let names: Vec<&str> = NAMES.iter().filter(|(_, bit)| bits & bit != 0).map(|(name, _)| *name).collect();
    names.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_is_read_back() {
        for bits in 0..=ALL {
            assert_eq!(parse_list(&format(bits)), Ok(bits));
        }
        assert_eq!(parse_list("analytics, telepathy"), Err("telepathy"));
    }
}
