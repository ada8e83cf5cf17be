/** The panel beside the shop: what is pushed of this visitor and of the stream, in words and pictures. */

import { LANGUAGE } from "./catalogue.js";

const token = document.querySelector('meta[name="millstream-read-token"]').content;
const at = (id) => document.getElementById(id);

// ---------------------------------------------------------------- words
const number = (value) => new Intl.NumberFormat(LANGUAGE).format(value);
/** The demo's currency has hundredths. */
const minor = (amount, currency, digits = 2) =>
  new Intl.NumberFormat(LANGUAGE, {
    style: "currency", currency: currency || "EUR", minimumFractionDigits: digits, maximumFractionDigits: digits,
  }).format(amount / 100);
const time = (ms) => new Date(ms).toLocaleTimeString(LANGUAGE, { hour: "2-digit", minute: "2-digit" });
const counted = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;
const span = (ms) => (ms < 60000 ? `${Math.round(ms / 1000)} s` : `${Math.floor(ms / 60000)} min ${Math.round((ms % 60000) / 1000)} s`);
const share = (p) => `${p > 0 && p < 0.01 ? "<1" : Math.round(p * 100)} %`;
const words = (name) => name.replaceAll("_", " ");
const known = (name) => (name && name !== "none" ? words(name) : undefined);

const DEPTH = ["elsewhere", "on a page", "at a list or search", "at a product", "at the cart", "in the checkout", "at a purchase"];

/** What was done so often, or that it was not done: its absence moves a score as well. */
const done = (count, what, not) => (count === 0 ? not : what);

/** A feature's name in words, with what the session says about it where it does. It says what moved the score, not which way. */
const REASONS = {
  events: (session) => `${counted(session.events, "event", "events")} so far`,
  page_views: (session) => `You have seen ${counted(session.page_views, "page", "pages")}`,
  product_views: ({ product_views: count }) =>
    done(count, `You have opened ${counted(count, "product page", "product pages")}`, "You have opened no product page yet"),
  list_views: () => "How many lists you looked through",
  searches: ({ searches: count }) =>
    done(count, `You have searched ${counted(count, "time", "times")}`, "You have not searched"),
  cart_adds: ({ cart_adds: count }) =>
    done(count, `You have put ${counted(count, "thing", "things")} into the cart`, "You have put nothing into the cart yet"),
  cart_removes: ({ cart_removes: count }) =>
    done(count, `You have taken ${counted(count, "thing", "things")} out of the cart`, "You have taken nothing out of the cart"),
  checkout_steps: ({ checkout_steps: count }) =>
    done(count, "You have been to the checkout", "You have not been to the checkout yet"),
  funnel_depth: (session) => `The furthest you got was ${DEPTH[session.funnel_depth] || "further"}`,
  active_minutes: (session) => `You have been here for ${span(session.duration_ms)}`,
  purchases: ({ purchases: count }) => done(count, "You have bought in this visit", "You have not bought in this visit yet"),
  products: () => "How many different products you looked at",
  repeat_views: () => "You came back to a product",
  cart_balance: () => "What is in your cart",
  seconds_per_event: () => "How quickly you click",
  channel: ({ channel }) => (channel === "direct" ? "You came directly, by no link" : `You came by ${known(channel) || "an unknown way"}`),
  device: (session) => `You use a ${session.device_class || "device"}`,
  prior_sessions: () => "How often you were here before",
  prior_orders: () => "What you bought before",
  days_since_session: () => "How long ago you were here last",
  days_since_order: () => "How long ago you bought last",
  left_cart: () => "Whether you left a cart behind last time",
};

const SESSION = [
  ["Since", (s) => time(s.started_at)],
  ["Pages", (s) => number(s.page_views)],
  ["Product views", (s) => number(s.product_views)],
  ["Put into cart", (s) => number(s.cart_adds)],
  ["Orders", (s) => (s.purchases ? `${number(s.purchases)}, ${minor(s.revenue_minor, s.currency)}` : "0")],
  ["Read for", (s) => span(s.engaged_ms)],
  ["Scrolled to", (s) => `${s.scroll_depth_pct} %`],
  ["Came by", (s) => words(s.channel)],
  ["With", (s) => `${s.browser} on ${s.os}`],
  ["Known as", (s) => s.user_id || "nobody yet"],
];

const PROFILE = [
  ["Known as", (p) => p.user_id],
  ["Visits ended", (p) => number(p.sessions)],
  ["Orders", (p) => number(p.orders)],
  ["Revenue", (p) => minor(p.revenue_minor, p.currency)],
  ["First came by", (p) => known(p.first_channel)],
  ["Engagement", (p) => (p.sessions ? `${Math.round(p.engagement_score)} / 100` : undefined)],
  ["Churn tier", (p) => known(p.churn_tier)],
  ["Value tier", (p) => known(p.clv_tier)],
];

const element = (name, text, kind) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
};

/** Writes a list of facts; what a record does not have is left out. */
const facts = (list, rows, record, none) => {
  if (!record) {
    list.replaceChildren(element("p", none, "empty"));
    return;
  }
  const shown = rows.flatMap(([label, read]) => {
    let value;
    try {
      value = read(record);
    } catch {
      value = undefined;
    }
    if (value === undefined || value === null || /undefined|NaN/.test(value)) return [];
    const row = element("div");
    row.append(element("dt", label), element("dd", value));
    return [row];
  });
  list.replaceChildren(...shown);
};

// ---------------------------------------------------------------- the visitor
/** When this page's events happened, by id: for the time from click to score. */
const happened = new Map();
let shownEvent = "";
let device;
/** What is said where there is no score. */
let unscored = "Look at something: each click is scored.";

const showVisitor = ({ session, score, profile }) => {
  const p = score ? score.p_purchase : undefined;
  const percent = p === undefined ? "–" : share(p);
  at("gauge-arc").setAttribute("stroke-dasharray", `${((p || 0) * 100).toFixed(1)} 100`);
  at("gauge-value").textContent = p === undefined ? "No score yet" : percent;
  at("gauge-value").classList.toggle("none", p === undefined);
  at("score-brief").textContent = percent;
  const reasons = (score ? score.reasons : []).map((name) => (REASONS[name] || (() => words(name)))(session || {}));
  at("reasons").replaceChildren(...reasons.filter((reason) => !/undefined|NaN/.test(reason)).map((reason) => element("li", reason)));
  at("model").textContent = !score ? "" : score.role === "fallback"
    ? "Scored by rules: a ranking, not a probability. No model is promoted yet."
    : `Scored by the model ${score.model}, version ${score.model_version}: a calibrated probability.`;
  const week = score && score.p_purchase_7d;
  at("week").textContent = typeof week === "number" ? `You buy within seven days: ${share(week)}` : "";
  at("h-score").textContent = session && session.purchases ? "You bought in this visit. Will you buy more?" : "Will you buy in this visit?";
  facts(at("session"), SESSION, session, "No session yet. It begins with your first event.");
  facts(at("profile"), PROFILE, profile, "No profile yet. It is made when you order, or when a session has ended.");
  if (score && score.source_event !== shownEvent) {
    shownEvent = score.source_event;
    const since = happened.get(shownEvent);
    if (since !== undefined) {
      const took = Math.round(performance.now() - since);
      at("scored-in").textContent = `Scored ${took} ms after you did it.`;
      document.dispatchEvent(new CustomEvent("shop:scored", { detail: { event: shownEvent, took } }));
    }
  }
  if (!score) at("scored-in").textContent = unscored;
};

// ---------------------------------------------------------------- the stream
const spark = (values) => {
  const most = Math.max(1, ...values);
  const points = values.map((value, n) => `${((n * 240) / (values.length - 1)).toFixed(1)} ${(46 - (42 * value) / most).toFixed(1)}`);
  at("spark-line").setAttribute("d", `M${points.join("L")}`);
  at("spark-area").setAttribute("d", `M0 48L${points.join("L")}L240 48Z`);
  at("spark-label").textContent = `Events a second, last minute: now ${number(values.at(-1))}, at most ${number(Math.max(0, ...values))}`;
};

const tile = (label, value) => {
  const made = element("div");
  made.append(element("dt", label), element("dd", value));
  return made;
};

const ms = (value) => (value === null ? "–" : `${number(value)} ms`);

/** `credited`: sums by currency, model and channel. Currencies do not add up; the one with most credits is shown. */
const showCredits = (credited) => {
  const size = (models) => Object.values(models).flatMap(Object.values).reduce((sum, part) => sum + Math.abs(part), 0);
  const [currency, chosen] = Object.entries(credited).sort((a, b) => size(b[1]) - size(a[1]))[0] || [];
  const models = Object.entries(chosen || {}).filter(([, channels]) => Object.keys(channels).length);
  if (!models.length) {
    at("credits").replaceChildren(element("p", "No credits yet. An order gives each way that led to it its share.", "empty"));
    return;
  }
  const sums = {};
  for (const [, channels] of models) for (const [name, sum] of Object.entries(channels)) sums[name] = (sums[name] || 0) + Math.max(0, sum);
  // The same colour for a channel in every bar, the largest first.
  const order = Object.keys(sums).sort((a, b) => sums[b] - sums[a] || a.localeCompare(b));
  const colour = (name) => `c${Math.min(order.indexOf(name), 8)}`;
  const bars = models.map(([model, channels]) => {
    const whole = Object.values(channels).reduce((sum, part) => sum + Math.max(0, part), 0) || 1;
    const row = element("div", undefined, "bar-row");
    const bar = element("div", undefined, "bar-parts");
    const parts = order.filter((name) => channels[name] > 0);
    bar.setAttribute("role", "img");
    bar.setAttribute("aria-label", parts.map((name) => `${words(name)} ${Math.round((100 * channels[name]) / whole)} %`).join(", "));
    for (const name of parts) {
      const part = element("span", undefined, colour(name));
      part.style.setProperty("flex-grow", channels[name] / whole);
      part.title = `${words(name)}: ${minor(channels[name], currency)}`;
      bar.append(part);
    }
    row.append(element("span", words(model), "bar-name"), bar);
    return row;
  });
  const legend = element("ul", undefined, "legend");
  for (const name of order.slice(0, 8)) {
    const item = element("li", words(name));
    item.prepend(element("i", undefined, colour(name)));
    legend.append(item);
  }
  if (order.length > 8) {
    const item = element("li", "others");
    item.prepend(element("i", undefined, "c8"));
    legend.append(item);
  }
  at("credits").replaceChildren(...bars, legend);
};

const showStream = (figures) => {
  spark(figures.per_second);
  const { p50, p99 } = figures.latency_ms;
  const revenue = Object.entries(figures.revenue_minor).map(([currency, sum]) => minor(sum, currency, sum < 100000 ? 2 : 0));
  at("stream").replaceChildren(
    tile("Events/s", number(figures.events_per_s)),
    tile("To score, p50", ms(p50)),
    tile("To score, p99", ms(p99)),
    tile("Sessions open", number(figures.sessions_open)),
    tile("Conversions", number(figures.conversions)),
    tile("Revenue", revenue.join(", ") || minor(0)),
  );
  showCredits(figures.credited_minor);
  if (figures.state !== "live") say("Reading what happened before …");
  else say("");
};

// ---------------------------------------------------------------- connections
const say = (text) => {
  at("link").textContent = text;
  at("link").hidden = !text;
};

let sources = [];

const listen = (address, name, show) => {
  const source = new EventSource(address + (address.includes("?") ? "&" : "?") + "token=" + encodeURIComponent(token));
  source.addEventListener(name, (event) => {
    show(JSON.parse(event.data));
    document.documentElement.classList.remove("offline");
  });
  source.onerror = () => {
    document.documentElement.classList.add("offline");
    say("The collector does not answer. What you do is kept and sent when it is back.");
    // The browser tries again by itself, unless it was refused.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
  };
  sources.push(source);
};

/** One pair of connections for a page that is seen; a browser has few for one host. */
const connect = () => {
  sources.forEach((source) => source.close());
  sources = [];
  if (document.visibilityState === "hidden") return;
  if (device) listen("/v1/live?device=" + encodeURIComponent(device), "visitor", showVisitor);
  else showVisitor({ session: null, score: null, profile: null });
  listen("/v1/live/stream", "stream", showStream);
};

const follow = (now) => {
  if (now === device && sources.length) return;
  device = now;
  connect();
};

// ---------------------------------------------------------------- consent
const showChoice = (chosen) => {
  for (const button of document.querySelectorAll("[data-consent]")) {
    button.setAttribute("aria-pressed", String(button.dataset.consent === chosen));
  }
  const notes = {
    "analytics personalization advertising": "Sessions, scores and profiles.",
    analytics: "Counted in the totals. No score, and nothing of you is shown here.",
    "": "Nothing is sent, and no id is kept.",
  };
  if (chosen in notes) at("consent-note").textContent = notes[chosen];
  unscored = /personalization/.test(chosen)
    ? "Look at something: each click is scored."
    : "By your choice below, your clicks are not scored.";
};

const keptChoice = () => {
  const kept = document.cookie.split("; ").find((pair) => pair.startsWith("ms_consent="));
  return kept && kept.slice(11).replace("none", "").split(".").join(" ").trim();
};

/** Begins to listen. */
export const startPanel = () => {
  spark(Array(60).fill(0));
  showVisitor({ session: null, score: null, profile: null });
  showCredits({});
  // On a phone the shop comes first.
  if (matchMedia("(max-width: 900px)").matches) at("fold").open = false;
  document.addEventListener("millstream:event", (event) => {
    const { id, time: created, device: of } = event.detail;
    happened.set(id, performance.now() - (Date.now() - created));
    if (happened.size > 200) happened.delete(happened.keys().next().value);
    if (event.detail.type !== "consent" || event.detail.consent?.length > 1) follow(of);
  });
  document.addEventListener("visibilitychange", connect);
  for (const button of document.querySelectorAll("button[data-consent]")) {
    button.addEventListener("click", () => {
      const chosen = button.dataset.consent;
      window.millstream.push(["consent", chosen ? chosen.split(" ") : []]);
      showChoice(chosen);
      at("scored-in").textContent = unscored;
      if (!chosen) follow(undefined);
    });
  }
  const chosen = keptChoice();
  if (chosen !== undefined) showChoice(chosen);
  // The tracker may have begun before this page listened.
  follow(window.millstream.ids ? window.millstream.ids().device : undefined);
};
