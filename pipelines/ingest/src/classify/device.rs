//! Device class, operating system and browser, by a few rules over the User-Agent. Families only: a version would be a fingerprint.
//!
//! Rules are tried in order and the first match holds, because browsers name each other: Edge says Chrome, Chrome says Safari.

use super::bot::Automation;

/// What a User-Agent says about the device. Each field is a symbol, `unknown` where it says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// `desktop`, `mobile`, `tablet`, `bot` or `unknown`.
    pub class: &'static str,
    /// Operating system family.
    pub os: &'static str,
    /// Browser family.
    pub browser: &'static str,
}

impl Device {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { class: "unknown", os: "unknown", browser: "unknown" };
}

const OS: &[(&str, &str)] = &[
    ("Windows Phone", "windows_phone"),
    ("Windows Mobile", "windows_phone"),
    ("Windows CE", "windows_phone"),
    ("IEMobile", "windows_phone"),
    ("XBLWP7", "windows_phone"),
    ("ZuneWP7", "windows_phone"),
    ("Xbox", "xbox"),
    ("PlayStation", "playstation"),
    ("PLAYSTATION", "playstation"),
    ("Nintendo", "nintendo"),
    ("KAIOS", "kaios"),
    ("HarmonyOS", "harmonyos"),
    ("OpenHarmony", "harmonyos"),
    ("BB10", "blackberry"),
    ("BlackBerry", "blackberry"),
    ("PlayBook", "blackberry"),
    ("Tizen", "tizen"),
    ("SMART-TV", "tizen"),
    ("Web0S", "webos"),
    ("webOS", "webos"),
    ("hpwOS", "webos"),
    ("CrOS", "chromeos"),
    ("Bada", "bada"),
    ("MeeGo", "meego"),
    ("Maemo", "meego"),
    ("Symbian", "symbian"),
    ("Series60", "symbian"),
    ("SymbOS", "symbian"),
    ("S60;", "symbian"),
    ("Android", "android"),
    ("android", "android"),
    ("Adr ", "android"),
    ("iPhone", "ios"),
    ("iPad", "ios"),
    ("iPod", "ios"),
    ("iOS", "ios"),
    ("Mac OS X", "macos"),
    ("Mac_PowerPC", "macos"),
    ("Macintosh", "macos"),
    ("Windows", "windows"),
    ("Win98", "windows"),
    ("Win95", "windows"),
    ("Win 9x", "windows"),
    ("WinNT", "windows"),
    ("FreeBSD", "bsd"),
    ("OpenBSD", "bsd"),
    ("NetBSD", "bsd"),
    ("SunOS", "solaris"),
    ("Ubuntu", "linux"),
    ("Linux", "linux"),
    ("X11", "linux"),
];

const BROWSERS: &[(&str, &str)] = &[
    ("Instagram", "instagram"),
    ("FBAN/", "facebook"),
    ("FBAV/", "facebook"),
    ("FB_IAB", "facebook"),
    ("Pinterest", "pinterest"),
    ("TikTok", "tiktok"),
    ("musical_ly", "tiktok"),
    ("BytedanceWebview", "tiktok"),
    ("Snapchat", "snapchat"),
    ("LinkedInApp", "linkedin"),
    ("Twitter for", "twitter"),
    ("MicroMessenger", "wechat"),
    (" Line/", "line"),
    ("KAKAOTALK", "kakaotalk"),
    ("GSA/", "google_app"),
    ("EdgA/", "edge"),
    ("EdgiOS/", "edge"),
    ("Edg/", "edge"),
    ("Edge/", "edge"),
    ("Opera Mini", "opera_mini"),
    ("OPiOS/", "opera_mini"),
    ("OPR/", "opera"),
    ("OPT/", "opera"),
    ("Opera", "opera"),
    ("Vivaldi", "vivaldi"),
    ("YaBrowser", "yandex"),
    ("YaSearchBrowser", "yandex"),
    ("SamsungBrowser", "samsung_internet"),
    ("UCBrowser", "uc_browser"),
    ("UCWEB", "uc_browser"),
    ("UC Browser", "uc_browser"),
    ("MiuiBrowser", "miui_browser"),
    ("HuaweiBrowser", "huawei_browser"),
    ("HeyTapBrowser", "heytap_browser"),
    ("VivoBrowser", "vivo_browser"),
    ("MQQBrowser", "qq_browser"),
    ("QQBrowser", "qq_browser"),
    ("DuckDuckGo/", "duckduckgo"),
    ("Ddg/", "duckduckgo"),
    ("Whale/", "whale"),
    ("coc_coc_browser", "coc_coc"),
    ("Puffin", "puffin"),
    ("Silk/", "silk"),
    ("Silk-Accelerated", "silk"),
    ("Brave", "brave"),
    ("PaleMoon", "pale_moon"),
    ("SeaMonkey", "seamonkey"),
    ("Iceweasel", "firefox"),
    ("FxiOS/", "firefox"),
    ("Focus/", "firefox"),
    ("Klar/", "firefox"),
    ("Firefox", "firefox"),
    ("MSIE", "internet_explorer"),
    ("Trident/", "internet_explorer"),
    ("Konqueror", "konqueror"),
    ("CriOS/", "chrome"),
    ("HeadlessChrome", "chrome"),
    ("Chromium", "chrome"),
    ("Chrome/", "chrome"),
    ("CrMo/", "chrome"),
];

/// Words that make a device a tablet whatever else it says.
const TABLETS: &[&str] = &[
    "iPad",
    "Tablet",
    "tablet",
    "PlayBook",
    "Kindle",
    "KF",
    "Silk-Accelerated",
    "Nexus 7",
    "Nexus 9",
    "Nexus 10",
    "SM-T",
    "SM-X",
    "GT-P",
    "Xoom",
    "Transformer",
    "TouchPad",
];

/// Systems that run on phones.
const PHONE_OS: &[&str] = &["windows_phone", "blackberry", "kaios", "symbian", "bada", "meego"];

/// What `user_agent` says about the device.
pub fn device(user_agent: &str, automation: Automation) -> Device {
    let os = first(OS, user_agent);
    let browser = match first(BROWSERS, user_agent) {
        "unknown" if os == "android" && user_agent.contains("Version/") => "android_browser",
        "unknown" if user_agent.contains("Safari") => "safari",
        "unknown" if os == "ios" && user_agent.contains("AppleWebKit") => "ios_webview",
        browser => browser,
    };
    let class = match automation {
        Automation::Declared => "bot",
        _ => class(user_agent, os),
    };
    Device { class, os, browser }
}

fn class(user_agent: &str, os: &str) -> &'static str {
    let has = |word: &str| user_agent.contains(word);
    match os {
        "android" | "harmonyos" if TABLETS.iter().any(|word| has(word)) => "tablet",
        // Phones say Mobile; an Android without it is a tablet, or a television that says so.
        "android" | "harmonyos" if has("TV") || has("AFT") || has("BRAVIA") => "unknown",
        "android" | "harmonyos" if has("Mobile") || has("Mobi") || has("Dalvik") || has("U; ") => "mobile",
        "android" | "harmonyos" => "tablet",
        "ios" if has("iPad") => "tablet",
        "ios" => "mobile",
        "blackberry" if has("PlayBook") => "tablet",
        os if PHONE_OS.contains(&os) => "mobile",
        "webos" | "tizen" if has("Mobile") => "mobile",
        "windows" | "macos" | "linux" | "chromeos" | "bsd" | "solaris" if has("Tablet PC") => "desktop",
        "windows" | "macos" | "linux" | "chromeos" | "bsd" | "solaris" if has("Mobile") || has("Kindle/") => "mobile",
        "windows" | "macos" | "chromeos" | "bsd" | "solaris" => "desktop",
        "linux" if has("HbbTV") || has("TV;") || has("NETTV") => "unknown",
        "linux" => "desktop",
        _ if has("Mobile") || has("MIDP") || has("CLDC") || has("J2ME") || has("Opera Mini") => "mobile",
        _ => "unknown",
    }
}

fn first(rules: &[(&str, &'static str)], text: &str) -> &'static str {
    rules.iter().find(|(word, _)| text.contains(word)).map_or("unknown", |&(_, symbol)| symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_of_today() {
        for (user_agent, class, os, browser) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
                "desktop",
                "windows",
                "chrome",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
                "desktop",
                "windows",
                "edge",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
                "desktop",
                "macos",
                "safari",
            ),
            (
                "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "desktop",
                "linux",
                "firefox",
            ),
            (
                "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
                "desktop",
                "chromeos",
                "chrome",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
                "mobile",
                "ios",
                "safari",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0 Mobile/15E148 Safari/604.1",
                "mobile",
                "ios",
                "chrome",
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1",
                "tablet",
                "ios",
                "safari",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
                "mobile",
                "android",
                "chrome",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
                "tablet",
                "android",
                "chrome",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/26.0 Chrome/122.0 Mobile Safari/537.36",
                "mobile",
                "android",
                "samsung_internet",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/22B83 Instagram 355.0",
                "mobile",
                "ios",
                "instagram",
            ),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "bot", "unknown", "unknown"),
            ("", "unknown", "unknown", "unknown"),
        ] {
            let automation = super::super::bot::automation(user_agent);
            assert_eq!(device(user_agent, automation), Device { class, os, browser }, "{user_agent}");
        }
    }
}
