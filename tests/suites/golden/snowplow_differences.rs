//! Every row in which the sessions, users and page views of Snowplow's test events differ from its own model's, and why.
//! `examples/mappings/snowplow_web.md` says the same to readers.

/// One row: kind, id (its beginning and end), what differs, there and here.
pub type Row = [&'static str; 5];

const PING: &str = "the session is a single ping: the reference starts it five seconds (its minimum visit) earlier and counts the \
    pinged page as viewed; here a session starts with its first event and counts views that came";
const THREE_DAYS: &str = "the reference cuts a session three days after its start and drops what comes later; here it goes on while \
    its id comes back within gap and horizon";
const ANEW: &str = "the tracker's id comes back after eight months: the reference drops that event by its three-day rule; here the \
    id begins anew after gap and horizon, and the visit before is its earlier revision";
const LATE: &str = "sent more than three days after it was created: dropped there; an import trusts its times";
const NO_VIEW_ID: &str = "its page view has no page view id and is dropped there, with the rest of its session";
const NO_SESSION: &str = "no session id: dropped there; here the gap decides";
const CONSENT: &str = "consent events only: the reference makes sessions of page views and pings alone";
const BY_DEVICE: &str =
    "one session id with three domain_userids: the reference gives it to the first; here each device has its part";
const ITSELF: &str = "no domain_userid: no user there; here the session stands for itself";

/// All of them.
pub const DIFFERENCES: &[(Row, &str)] = &[
    (["page view", "000362c5-4537-421f-bc2c-f229f7872b03", "id", "left out", "there"], LATE),
    (["page view", "2e65696c-a1e2-4d1a-a66a-2d1910fcba27", "id", "left out", "there"], THREE_DAYS),
    (["page view", "56026926…daab", "id", "left out", "there"], THREE_DAYS),
    (["page view", "aa0bf877-35f0-491e-be4d-172c0fba7d14", "id", "left out", "there"], THREE_DAYS),
    (["session", "0b0c7bb5…140d", "page views", "1", "0"], PING),
    (["session", "0b0c7bb5…140d", "start", "2021-03-02 22:59:24.752", "2021-03-02 22:59:29.752"], PING),
    (["session", "0b0c7bb5…140e", "page views", "1", "0"], PING),
    (["session", "0b0c7bb5…140e", "start", "2021-03-04 22:59:24.752", "2021-03-04 22:59:29.752"], PING),
    (["session", "0b5d421a…fce8", "page views", "1", "0"], PING),
    (["session", "0b5d421a…fce8", "start", "2021-03-03 18:01:33.658", "2021-03-03 18:01:38.658"], PING),
    (["session", "2bfc2c76…bd35", "end", "2021-03-03 21:39:50.989", "2021-03-11 21:42:15.543"], THREE_DAYS),
    (["session", "2bfc2c76…bd35", "page views", "2", "4"], THREE_DAYS),
    (["session", "d21c000a…b12d", "end", "2020-07-03 15:55:18.542", "2021-03-04 15:55:27.085"], ANEW),
    (["session", "d21c000a…b12d", "start", "2020-07-03 15:55:18.542", "2021-03-04 15:55:27.085"], ANEW),
    (["session", "7edb1641…66fc", "id", "left out", "there"], LATE),
    (["session", "e7971181…74e8", "id", "left out", "there"], NO_VIEW_ID),
    (["session", "none:4f1…53ac", "id", "left out", "there"], NO_SESSION),
    (["session", "1199fe61…888a", "id", "left out", "there"], CONSENT),
    (["session", "166b0f10…bb80", "id", "left out", "there"], CONSENT),
    (["session", "3a580aee…c6be", "id", "left out", "there"], CONSENT),
    (["session", "3e691dfa…12cb", "id", "left out", "there"], CONSENT),
    (["session", "50c7ec69…c1c2", "id", "left out", "there"], CONSENT),
    (["session", "5218442a…5b3d", "id", "left out", "there"], CONSENT),
    (["session", "5e08b7d4…4635", "id", "left out", "there"], CONSENT),
    (["session", "6b6879d9…631e", "id", "left out", "there"], CONSENT),
    (["session", "6cc9e83a…66fe", "id", "left out", "there"], CONSENT),
    (["session", "76866d07…258e", "id", "left out", "there"], CONSENT),
    (["session", "7ccbd6f1…456e", "id", "left out", "there"], CONSENT),
    (["session", "83f26b23…0c36", "id", "left out", "there"], CONSENT),
    (["session", "86926138…317b", "id", "left out", "there"], CONSENT),
    (["session", "90356737…2b92", "id", "left out", "there"], CONSENT),
    (["session", "90af0c6f…0ad7", "id", "left out", "there"], CONSENT),
    (["session", "94dd018c…ec3e", "id", "left out", "there"], CONSENT),
    (["session", "98e03561…b6b0", "id", "left out", "there"], CONSENT),
    (["session", "99f714c3…4a2c", "id", "left out", "there"], CONSENT),
    (["session", "9b36ac17…21b7", "id", "left out", "there"], CONSENT),
    (["session", "bfdf8436…2329", "id", "left out", "there"], CONSENT),
    (["session", "c108fe1f…ca5e", "id", "left out", "there"], CONSENT),
    (["session", "d4ff9239…b902", "id", "left out", "there"], CONSENT),
    (["session", "dc662c1a…e644", "id", "left out", "there"], CONSENT),
    (["session", "e45e0ee9…ee42", "id", "left out", "there"], CONSENT),
    (["session", "ed61377b…0dc9", "id", "left out", "there"], CONSENT),
    (["session", "f2548eca…ccfd", "id", "left out", "there"], CONSENT),
    (["user", "0691aaf0…e237", "page views", "6", "4"], PING),
    (["user", "b3c88384…0875", "page views", "2", "1"], PING),
    (["user", "0e9ab97b…a4fc", "end", "2021-03-04 15:55:27.084", "2021-03-02 15:55:23.355"], BY_DEVICE),
    (["user", "0e9ab97b…a4fc", "page views", "3", "1"], BY_DEVICE),
    (["user", "1f72f389…537f", "id", "left out", "there"], BY_DEVICE),
    (["user", "2e340eb6…bf17", "id", "left out", "there"], BY_DEVICE),
    (["user", "12c98e1f…85f0", "end", "2020-07-03 15:55:18.542", "2021-03-04 15:55:27.085"], ANEW),
    (["user", "12c98e1f…85f0", "start", "2020-07-03 15:55:18.542", "2021-03-04 15:55:27.085"], ANEW),
    (["user", "4f011c92…54ad", "end", "2021-03-03 21:39:50.989", "2021-03-11 21:42:15.543"], THREE_DAYS),
    (["user", "4f011c92…54ad", "page views", "2", "4"], THREE_DAYS),
    (["user", "b5c4939c…1a3b", "id", "left out", "there"], ITSELF),
    (["user", "9341fb4f…d273", "id", "left out", "there"], LATE),
    (["user", "ff747617…a0bb", "id", "left out", "there"], NO_VIEW_ID),
    (["user", "4f1b6638…53ac", "id", "left out", "there"], NO_SESSION),
    (["user", "00806d34…88bd", "id", "left out", "there"], CONSENT),
    (["user", "07fde81e…270e", "id", "left out", "there"], CONSENT),
    (["user", "0f71eec8…8993", "id", "left out", "there"], CONSENT),
    (["user", "134db418…a805", "id", "left out", "there"], CONSENT),
    (["user", "14adabe8…ebc9", "id", "left out", "there"], CONSENT),
    (["user", "1c2e3fab…0a9f", "id", "left out", "there"], CONSENT),
    (["user", "1de9fb98…01eb", "id", "left out", "there"], CONSENT),
    (["user", "2816bdb9…3d8e", "id", "left out", "there"], CONSENT),
    (["user", "319f2800…9506", "id", "left out", "there"], CONSENT),
    (["user", "4b0897e9…c572", "id", "left out", "there"], CONSENT),
    (["user", "4e28e517…adfd", "id", "left out", "there"], CONSENT),
    (["user", "500f5126…52ab", "id", "left out", "there"], CONSENT),
    (["user", "55572b58…c3cc", "id", "left out", "there"], CONSENT),
    (["user", "5a5b329d…b97a", "id", "left out", "there"], CONSENT),
    (["user", "5c33a6ad…2d36", "id", "left out", "there"], CONSENT),
    (["user", "6ca9c8b7…f58e", "id", "left out", "there"], CONSENT),
    (["user", "7a1f9fdd…bc95", "id", "left out", "there"], CONSENT),
    (["user", "7e3708bb…d8f1", "id", "left out", "there"], CONSENT),
    (["user", "8b996f0b…00c4", "id", "left out", "there"], CONSENT),
    (["user", "a3126628…8c06", "id", "left out", "there"], CONSENT),
    (["user", "ada2a4d7…070b", "id", "left out", "there"], CONSENT),
    (["user", "da03a587…f611", "id", "left out", "there"], CONSENT),
    (["user", "e2cd5ee3…0af6", "id", "left out", "there"], CONSENT),
    (["user", "e68aed56…3927", "id", "left out", "there"], CONSENT),
    (["user", "f16ba022…7242", "id", "left out", "there"], CONSENT),
    (["user", "f75a85d7…c4b3", "id", "left out", "there"], CONSENT),
];
