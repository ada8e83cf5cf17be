//! The words by which [`super::bot`] knows machines: in lower case, matched in any case and anywhere. Written and kept by this project.

/// Phones and programs whose names look like a bot's: a word that begins inside one of these does not count.
#[rustfmt::skip]
pub const INNOCENT: &[&str] = &[
    "cubot", "talkbot mobile", "reader mode",
];

/// Words that only bots use.
#[rustfmt::skip]
pub const DECLARED: &[&str] = &[
    "bot/", "bot;", "bot)", "bot ", "bot-", "bot_", "bot.", "bot,", "bot+", "bot@", "bots", "-bot", "_bot", " bot",
    "robot", "botlink", "botw", "botj", "crawl", "spider", "slurp", "scrap", "archiv", "indexer", "fetcher",
    "harvest", "checker", "validator", "verif", "monitor", "uptime", "pingdom", "statuscake", "site24x7",
    "watchdog", "nagios", "zabbix", "datadog", "newrelic", "gtmetrix", "lighthouse", "pagespeed",
    "google-read-aloud", "google-inspection", "mediapartners", "adsbot", "apis-google", "google-site",
    "google-adwords", "google-structured", "googleother", "google-safety", "googleproducer", "google-cloudvertex",
    "google-extended", "google-notebooklm", "google-firebase", "google-pagerenderer", "adidxbot", "msnbot",
    "facebookexternalhit", "facebookcatalog", "facebookplatform", "meta-external", "linkedinbot", "telegrambot",
    "slackbot", "slack-imgproxy", "discordbot", "embedly", "iframely", "vkshare", "w3c_", "w3c-", "heritrix",
    "nutch", "httrack", "ahrefs", "semrush", "mj12", "majestic", "dotbot", "rogerbot", "screaming frog", "seokicks",
    "sistrix", "serpstat", "seobility", "seositecheckup", "siteimprove", "seozoom", "gptbot", "chatgpt-user",
    "oai-search", "claude-", "claudebot", "anthropic", "perplexity", "ccbot", "cohere-", "mistralai", "amazon-",
    "applebot", "petalbot", "diffbot", "youbot", "timpibot", "grok", "scanner", "nessus", "nikto", "sqlmap", "nmap",
    "masscan", "zgrab", "censys", "shodan", "expanse", "netcraft", "qualys", "internet-measurement",
    "paloaltonetworks", "security.ipip", "feed", "rss", "reader", "aggregator", "blogs", "newsnow",
    "flipboardproxy", "netvibes", "miniflux", "bazqux", "protopage", "snacktory", "preview", "thumbnail",
    "snapshot", "screenshot", "favicon", "urlcheck", "linkcheck", "link check", "linkdex", "linkwalker",
    "linkapedia", "xenu", "http://", "https://", "(+http", "; +http", "compatible;+", "sniff", "finder", "grabber",
    "collector", "extractor", "survey", "research", "analyzer", "analyser", "audit", "lookup", "reputation",
    "plagia", "copyscape", "turnitin", "trendiction", "brandwatch", "meltwater", "mention", "proximic", "grapeshot",
    "comscore", "integralads", "admantx", "criteo", "weborama", "peer39", "outbrain", "taboola", "zemanta",
    "cxense", "crazyegg", "appinsights", "cloudflare-", "cloudflare ", "akamai", "fastly", "wordpress/", "wp.com",
    "drupal", "joomla", "magento", "typo3", "disqus/", "automattic", "shopify-", "zapier", "ifttt", "postman-",
    "mattermost", "bitlybot", "tweetmeme", "trove", "yeti/", "daum/", "daumoa", "sogou", "coccoc", "qwantify",
    "mojeek", "seznam", "exabot", "gigabot", "yacy", "findxbot", "mail.ru_", "mail.ru/", "sputnik", "istella",
    "cliqz", "wotbox", "domains", "dns", "whois", "hosttracker", "host-tracker", "freshping", "hetrix", "montastic",
    "nodeping", "updown", "blackboard", "ezooms", "digg", "deepl", "docomo/2.0 (compatible", "ltx71", "panscient",
    "lipperhey", "bot(", "ptst/", "dareboost", "google-certificates", "googleimageproxy", "google-physicalweb",
    "google-ads", "googleagent", "googleassociation", "google-xrawler", "synthetic", "catchpoint", "thousandeyes",
    "ghost inspector", "webcop", "sitesucker", "teleport", "webcapture", "download ninja", "larbin", "acunetix",
    "zmeu", "scanning", "/scan", "cookiehub", "salesforce", "hardenize", "silktide", "-agent", " agent)",
    "manus-user", "criticalcss", "foregenix", "resolver", "prefetch proxy", "hatena", "postrank", "ichiro", "seo4",
    "attracta", "dataprovider", "recon;", "datanyze", "scope3", "collapsify", "ds9", "infegy", "pixalate", "sindup",
    "sqwatch", "adbeat",
];

/// Browsers without a visitor.
#[rustfmt::skip]
pub const HEADLESS: &[&str] = &[
    "headless", "phantomjs", "slimerjs", "puppeteer", "playwright", "selenium", "webdriver", "cypress/",
    "rendertron", "prerender", "htmlunit", "zombie.js",
];

/// HTTP libraries and tools.
#[rustfmt::skip]
pub const TOOLS: &[&str] = &[
    "curl", "wget", "python", "java/1", "jakarta", "httpclient", "http-client", "http_client", "okhttp", "go-http",
    "aiohttp", "httpx", "urllib", "requests", "libwww", "lwp-", "lwp:", "perl", "ruby/", "ruby,", "faraday",
    "typhoeus", "php/", "php ", "guzzle", "node-fetch", "axios", "undici", "node.js", "got (", "got/", "superagent",
    "reqwest", "hyper/", "ureq", "mechanize", "winhttp", "wininet", "restsharp", "postmanruntime",
    "insomnia", "httpie", "apache-http", "synapse", "embarcadero", "indy library", "dart:io", "dart/", "alamofire",
    "cfnetwork", "libcurl", "pycurl", "snoopy", "zend_http", "http_request", "unirest", "deno/", "bun/", "k6/",
    "jmeter", "apachebench", "siege/", "gatling", "locust", "vegeta", "wrk",
];

/// Browsers that called themselves compatible.
#[rustfmt::skip]
pub const OLD_BROWSERS: &[&str] = &[
    "msie", "trident", "konqueror", "icab", "omniweb", "opera", "nokia", "googletv", "iemobile", "netfront", "teleca", "polaris", "chameleon", "midp",
];

/// Browsers, phones and the platforms apps run on.
#[rustfmt::skip]
pub const VISITORS: &[&str] = &[
    "mozilla/", "opera/", "android", "iphone", "ipad", "ios", "darwin", "dalvik", "windows", "macintosh", "mac os",
    "linux", "symbian", "series60", "blackberry", "nokia", "samsung", "midp", "cldc", "ucweb", "ucbrowser", "j2me",
    "brew",
];
