/*!
 * Millstream tracker. Apache-2.0.
 *
 * One line puts it on a shop:
 *   <script async src="https://collect.shop.example/tracker.js" data-key="WRITE-KEY"></script>
 * README.md beside this file has every attribute, call and limit. `tracker.min.js` is this file without comments and indentation
 * (scripts/tracker-build); that is what the collector serves.
 */
(() => {
  "use strict";

  const script = document.currentScript;
  const early = window.millstream;
  // Included twice, or without its script tag: the first one stays.
  if (!script || (early && !Array.isArray(early))) return;

  // ---------------------------------------------------------------- settings
  const settings = script.dataset;
  const number = (text, otherwise) => (text && +text >= 0 ? +text : otherwise);
  const base = (settings.url || new URL(script.src).origin).replace(/\/+$/, "");
  /** The key travels in the address: a beacon cannot set headers, and without own headers no browser asks first (preflight). */
  const endpoint = base + "/v1/events?key=" + encodeURIComponent(settings.key || "");
  const autoViews = settings.auto !== "false";
  const allClicks = settings.clicks === "all";
  const pingMs = number(settings.pingS, 10) * 1000;
  const batchMs = number(settings.batchMs, 250);

  const DEVICE_S = 395 * 86400; // 13 months
  const SESSION_MS = 30 * 60000;
  const BATCH_EVENTS = 50;
  /** Browsers let 64 KiB of unload-safe requests be under way at once. */
  const BATCH_BYTES = 48000;
  const UNLOAD_BYTES = 60000;
  const QUEUE_EVENTS = 500;
  const QUEUE_BYTES = 200000;
  const HELD_EVENTS = 100;
  const ANSWER_MS = 15000;
  const MAX_RETRY_MS = 300000;
  /** Nobody is active who did nothing for this long. */
  const IDLE_MS = 15000;
  /** A page that has not renewed its queue for this long is gone. */
  const LEASE_MS = 90000;
  const QUEUE = "ms_queue.";

  const now = () => Date.now();
  const warn = (...words) => console.warn("millstream:", ...words);
  const bytesOf = (text) => new Blob([text]).size;

  /** A random UUID, also where a page is not a secure context. */
  const uuid = () => {
    if (crypto.randomUUID) return crypto.randomUUID();
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    const hex = Array.from(bytes, (byte) => (byte + 256).toString(16).slice(1)).join("");
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  };

  // ---------------------------------------------------------------- what is remembered
  /** What a browser without cookies (private mode, sandbox) would not keep: it lives as long as the page. */
  const memory = {};

  const cookie = (name) => {
    try {
      const found = document.cookie.split("; ").find((pair) => pair.startsWith(name + "="));
      return found ? found.slice(name.length + 1) : memory[name];
    } catch (_) {
      return memory[name];
    }
  };

  /** Keeps a value for `seconds`; 0 forgets it. */
  const keep = (name, value, seconds) => {
    delete memory[name];
    try {
      document.cookie =
        name + "=" + value + ";path=/;max-age=" + seconds + ";samesite=lax" +
        (settings.cookieDomain ? ";domain=" + settings.cookieDomain : "") +
        (location.protocol === "https:" ? ";secure" : "");
    } catch (_) {}
    if (seconds && cookie(name) !== value) memory[name] = value;
  };

  const stored = (work) => {
    try {
      return work(localStorage);
    } catch (_) {
      return undefined;
    }
  };

  // ---------------------------------------------------------------- consent
  const PURPOSES = ["analytics", "personalization", "advertising"];
  const privacyControl = () => navigator.globalPrivacyControl === true;

  /** The purposes chosen, in this tab or another; undefined where nobody has chosen yet. */
  const purposes = () => {
    const kept = cookie("ms_consent");
    return kept && PURPOSES.filter((name) => kept.split(".").includes(name));
  };
  const waiting = () => settings.consent === "required" && !cookie("ms_consent");
  const refused = () => cookie("ms_consent") === "none";
  const silent = () => waiting() || refused();
  /** Events of this page until the visitor has chosen: in memory only. */
  let held = [];

  // ---------------------------------------------------------------- device and session
  const device = () => {
    let id = cookie("ms_device");
    if (!id) keep("ms_device", (id = uuid()), DEVICE_S);
    return id;
  };

  /** The session of an event at `at`, and the event's number in it. All tabs share it: 30 minutes after the last event it is over. */
  const session = (at) => {
    let [id, sequence, last] = (cookie("ms_session") || "").split(".");
    if (!id || !(at - parseInt(last, 36) <= SESSION_MS)) {
      id = uuid();
      sequence = 0;
    }
    sequence = +sequence + 1;
    keep("ms_session", id + "." + sequence + "." + at.toString(36), SESSION_MS / 1000);
    return { id, sequence };
  };

  // ---------------------------------------------------------------- queue
  /** This page's name among the tabs. */
  const tab = QUEUE + uuid().slice(0, 8);
  /** Events without a confirmation, oldest first: {text, size, flying}. */
  let queue = [];
  let queued = 0;
  let dropped = 0;
  let savedAt = 0;

  /** Writes the queue beside the page, so that it survives it. `at` 0: the page is going, any other may take it over. */
  const save = (at) => {
    savedAt = at;
    stored((storage) => {
      const lasting = silent() ? [] : queue.filter((entry) => !entry.fleeting);
      if (lasting.length) storage.setItem(tab, JSON.stringify({ at, events: lasting.map((entry) => entry.text) }));
      else storage.removeItem(tab);
    });
  };

  const add = (text, fleeting) => {
    queue.push({ text, size: bytesOf(text), fleeting });
    queued += queue[queue.length - 1].size;
    while (queue.length > QUEUE_EVENTS || queued > QUEUE_BYTES) {
      queued -= queue.shift().size;
      dropped++;
    }
  };

  const remove = (batch) => {
    queue = queue.filter((entry) => !batch.includes(entry));
    queued = queue.reduce((sum, entry) => sum + entry.size, 0);
    save(now());
  };

  /** Takes over what pages left behind that are gone. What one of them had sent after all is recognised by its event id. */
  const adopt = () =>
    stored((storage) => {
      for (const name of Object.keys(storage)) {
        if (!name.startsWith(QUEUE) || name === tab) continue;
        let left = {};
        try {
          left = JSON.parse(storage.getItem(name));
        } catch (_) {}
        if (left.at > now() - LEASE_MS) continue;
        storage.removeItem(name);
        (left.events || []).forEach((text) => add(text));
        save(now());
        flush();
      }
    });

  // ---------------------------------------------------------------- sending
  let timer;
  let attempts = 0;
  let batchEvents = BATCH_EVENTS;
  let sending = false;

  const later = (ms) => {
    clearTimeout(timer);
    timer = setTimeout(flush, ms);
  };

  const resting = () => queue.filter((entry) => !entry.flying);

  const take = (budget) => {
    const batch = [];
    let size = 64;
    for (const entry of resting()) {
      if (batch.length && (batch.length >= batchEvents || size + entry.size + 1 > budget)) break;
      batch.push(entry);
      size += entry.size + 1;
    }
    return { batch, size };
  };

  const again = (batch, waitMs) => {
    batch.forEach((entry) => (entry.flying = false));
    attempts++;
    const backoffMs = Math.min(MAX_RETRY_MS, 1000 * 2 ** Math.min(attempts - 1, 10)) * (0.5 + Math.random() / 2);
    later(Math.max(waitMs || 0, backoffMs));
  };

  const answered = (batch, response) => {
    const { status } = response;
    if (status === 200) {
      response.json().then((answer) => answer.refused && warn("refused", answer.events.filter((event) => event.reason)), () => {});
    } else if (status === 413 && batch.length > 1) {
      batchEvents = Math.ceil(batch.length / 2);
      return again(batch);
    } else if (status === 400 || status === 413 || status === 415) {
      warn("the collector cannot use", status, batch.length, "events");
    } else {
      // Also a wrong key: it may be mended while the queue lasts.
      return again(batch, 1000 * parseInt(response.headers.get("retry-after"), 10));
    }
    attempts = 0;
    remove(batch);
    if (resting().length) later(0);
  };

  const post = (batch) => {
    batch.forEach((entry) => (entry.flying = true));
    const sent_at = new Date().toISOString();
    const body = '{"sent_at":"' + sent_at + '","events":[' + batch.map((entry) => entry.text).join(",") + "]}";
    const options = { method: "POST", body, credentials: "omit", keepalive: bytesOf(body) < UNLOAD_BYTES };
    if (AbortSignal.timeout) options.signal = AbortSignal.timeout(ANSWER_MS);
    return fetch(endpoint, options).then((response) => answered(batch, response), () => again(batch));
  };

  /** Sends what waits, one request at a time. */
  const flush = () => {
    clearTimeout(timer);
    timer = 0;
    if (sending) return;
    const { batch } = take(BATCH_BYTES);
    if (!batch.length) return;
    sending = true;
    post(batch).finally(() => {
      sending = false;
    });
  };

  /** Everything that waits is sent at once, in a way that outlives the page. */
  const sendAll = () => {
    let budget = UNLOAD_BYTES - queue.reduce((sum, entry) => sum + (entry.flying ? entry.size : 0), 0);
    for (;;) {
      const { batch, size } = take(budget);
      if (!batch.length || size > budget) break;
      budget -= size;
      if ("keepalive" in Request.prototype) {
        post(batch);
      } else if (navigator.sendBeacon(endpoint, '{"sent_at":' + now() + ',"events":[' + batch.map((entry) => entry.text) + "]}")) {
        remove(batch); // An older browser: it takes the events and never says what became of them.
      } else break;
    }
  };

  /** The page may go now. */
  const leave = () => {
    ping(true);
    sendAll();
  };

  // ---------------------------------------------------------------- events
  let view = {};
  let viewed;

  const here = () => location.href.split("#")[0];

  /** Begins a page view. */
  const page = (fields) => {
    ping(true);
    const referrer = viewed || document.referrer;
    viewed = here();
    view = { url: viewed, view_id: uuid() };
    depth = 0;
    scrolled();
    const shown = { ...view, title: document.title };
    if (referrer) shown.referrer = referrer;
    return emit("page_view", { ...fields, page: { ...shown, ...(fields || {}).page } });
  };

  /** A single-page application has gone to another address. */
  const navigated = () => {
    if (autoViews && viewed !== undefined && here() !== viewed) page();
  };

  /** Puts an event into the queue; its id, or null where consent does not allow it. */
  const emit = (type, fields) => {
    if (refused()) return null;
    const body = { language: navigator.language, ...fields, id: uuid(), type, time: now() };
    body.page = { ...view, ...body.page };
    if (!waiting()) enqueue(body);
    else if (held.length < HELD_EVENTS) held.push(body);
    return body.id;
  };

  const enqueue = (body) => {
    const chosen = purposes();
    const { id, sequence } = session(body.time);
    body.device = device();
    body.session = id;
    body.sequence = sequence;
    if (chosen) body.consent = ["necessary", ...chosen.filter((name) => name !== "advertising" || !privacyControl())];
    if (dropped) body.tracker_dropped = dropped;
    let text;
    try {
      text = JSON.stringify(body);
    } catch (error) {
      return warn(body.type, "cannot be written as JSON:", error);
    }
    dropped = 0;
    // A ping is worth little when it is late: no later page sends it.
    add(text, body.type === "page_ping");
    save(now());
    document.dispatchEvent(new CustomEvent("millstream:event", { detail: body }));
    // While a request is under way its answer goes on, after a failure its timer does.
    if (resting().length >= batchEvents || queued > BATCH_BYTES) flush();
    else if (!timer && !sending && !attempts) later(batchMs);
  };

  const track = (type, fields) => {
    navigated();
    return emit(type, fields);
  };

  const identify = (user) => track("identify", { user: String(user) });

  /**
   * The visitor's choice: an object of booleans or a list of names. It holds in this browser for 13 months.
   * Where nothing is allowed, one last event says so if the visitor was known; then everything is forgotten and nothing is sent.
   */
  const consent = (choice) => {
    const chosen = PURPOSES.filter((name) => (Array.isArray(choice) ? choice.includes(name) : (choice || {})[name] === true));
    const known = !silent() && cookie("ms_device");
    keep("ms_consent", chosen.join(".") || "none", DEVICE_S);
    if (chosen.length) held.forEach(enqueue);
    held = [];
    if (chosen.length) return emit("consent");
    if (known) {
      enqueue({ id: uuid(), type: "consent", time: now(), page: view });
      sendAll();
    }
    keep("ms_device", "", 0);
    keep("ms_session", "", 0);
    return null;
  };

  // ---------------------------------------------------------------- engaged time
  let activeAt = now();
  let engagedMs = 0;
  let depth = 0;
  let tickedAt = now();
  let pingedAt = now();

  const scrolled = () => {
    const whole = document.documentElement.scrollHeight || 1;
    depth = Math.max(depth, Math.min(100, Math.round((100 * (scrollY + innerHeight)) / whole)));
  };

  const active = () => {
    activeAt = now();
  };

  const count = () => {
    const at = now();
    // Timers of a sleeping page come late: that time was not spent reading.
    if (document.visibilityState === "visible" && at - activeAt < IDLE_MS) engagedMs += Math.min(at - tickedAt, 2000);
    tickedAt = at;
  };

  /** Says how long the page was really read since the last time. */
  const ping = (ending) => {
    count();
    if (viewed === undefined || !pingMs || engagedMs < (ending ? 1000 : 1)) return;
    const engaged_ms = Math.round(engagedMs);
    engagedMs = 0;
    pingedAt = now();
    emit("page_ping", { ping: { engaged_ms, scroll_depth_pct: depth } });
  };

  const tick = () => {
    count();
    if (now() - pingedAt >= pingMs && engagedMs) ping();
    if (queue.length && now() - savedAt > LEASE_MS / 3) save(now());
  };

  // ---------------------------------------------------------------- clicks
  const clicked = (event) => {
    const selector = "[data-ms-click]" + (allClicks ? ",a[href],button" : "");
    const element = event.target.closest && event.target.closest(selector);
    if (!element) return;
    const target = element.dataset.msClick || element.href || element.id || element.textContent.trim().slice(0, 64);
    if (target) track("click", { click: { target: target.slice(0, 2048) } });
  };

  // ---------------------------------------------------------------- to the outside
  const api = {
    /** An event of the catalogue: `track("add_to_cart", {product: {id: "42", price: "9.90", currency: "EUR"}})`. */
    track,
    /** An event of your own: `custom("wishlist", {colour: "red"})`. */
    custom: (name, properties) => track("custom", { name, properties }),
    /** A page view by hand, where `data-auto="false"`. */
    page: (fields) => page(fields),
    identify,
    logout: () => track("logout"),
    consent,
    flush,
    /** The ids that events carry now; nothing is made for asking. */
    ids: () => ({ device: cookie("ms_device"), session: (cookie("ms_session") || "").split(".")[0] || undefined }),
    /** Calls as a list, for pages that call before the tracker is there: `millstream.push(["track", "search", {…}])`. */
    push: (call) => api[call[0]](...call.slice(1)),
  };

  const start = () => {
    window.millstream = api;
    if (!settings.key) warn("the script tag has no data-key");
    if (!silent()) keep("ms_device", device(), DEVICE_S); // 13 months from the last visit
    if (autoViews) page();
    (early || []).forEach((call) => api.push(call));

    for (const name of ["pushState", "replaceState"]) {
      const original = history[name];
      history[name] = function () {
        const result = original.apply(this, arguments);
        // After the application has set its title; an event tracked before that looks by itself.
        setTimeout(navigated, 0);
        return result;
      };
    }
    const on = (target, names, work) =>
      names.split(" ").forEach((name) => target.addEventListener(name, work, { capture: true, passive: true }));
    on(window, "popstate", () => setTimeout(navigated, 0));
    on(window, "online", () => {
      attempts = 0;
      flush();
    });
    on(document, "click", clicked);
    on(document, "pointerdown pointermove keydown touchstart wheel", active);
    on(window, "scroll", () => {
      active();
      scrolled();
    });
    on(document, "visibilitychange", () => {
      if (document.visibilityState === "hidden") leave();
      else tickedAt = now();
    });
    on(window, "pagehide", () => {
      leave();
      save(0);
    });
    on(window, "pageshow", (event) => {
      if (!event.persisted) return;
      // Back from the browser's page cache: another page may have taken over what waited here.
      stored((storage) => storage.getItem(tab) || (queue = []));
      if (autoViews) page();
      later(0);
    });
    setInterval(tick, 1000);
    // Not at once: what the last page sent while it closed is still under way.
    setTimeout(() => silent() || adopt(), 5000);
  };

  if (document.prerendering) document.addEventListener("prerenderingchange", start, { once: true });
  else start();
})();
