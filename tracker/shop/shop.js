/** The shop: a single-page application with real addresses. What it tells the tracker is what any shop would. */

import { CATEGORIES, PRODUCTS, asField, asOrder, find, money, picture } from "./catalogue.js";
import { startPanel } from "./panel.js";

// Calls before the tracker is there wait in a list.
window.millstream = window.millstream || [];
const tracker = (...call) => window.millstream.push(call);

const content = document.getElementById("content");
const SHIPPING = 490;
const FREE_FROM = 5000;
const CUSTOMER = "customer-7";

// ---------------------------------------------------------------- cart
/** What survives a reload; a browser that keeps nothing still has a cart. */
const load = (name, otherwise) => {
  try {
    return JSON.parse(localStorage.getItem(name)) ?? otherwise;
  } catch {
    return otherwise;
  }
};
const store = (name, value) => {
  try {
    localStorage.setItem(name, JSON.stringify(value));
  } catch {
    // Private mode.
  }
};

let cart = load("shop_cart", {});
let customer = load("shop_customer", false);
const lines = () =>
  Object.entries(cart).map(([id, quantity]) => ({ product: find(id), quantity })).filter((line) => line.product);
const goods = () => lines().reduce((sum, line) => sum + line.product.price * line.quantity, 0);
const shipping = () => (goods() >= FREE_FROM || !goods() ? 0 : SHIPPING);

const put = (product, change) => {
  cart[product.id] = Math.max(0, (cart[product.id] || 0) + change);
  if (!cart[product.id]) delete cart[product.id];
  store("shop_cart", cart);
  showCount();
  tracker("track", change > 0 ? "add_to_cart" : "remove_from_cart", { product: asField(product, Math.abs(change)) });
};

const showCount = () => {
  const count = lines().reduce((sum, line) => sum + line.quantity, 0);
  const badge = document.getElementById("cart-count");
  badge.textContent = count;
  badge.parentElement.setAttribute("aria-label", `Cart, ${count} ${count === 1 ? "thing" : "things"}`);
};

// ---------------------------------------------------------------- pieces of pages
const safe = (text) => String(text).replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

const card = (product) => `
  <li><a class="card" href="/shop/product/${product.id}" data-nav>
    ${picture(product)}
    <span class="card-name">${safe(product.name)}</span>
    <span class="card-price">${money(product.price)}</span>
  </a></li>`;

const cards = (products) => `<ul class="cards">${products.map(card).join("")}</ul>`;

const chips = (chosen) => `<nav class="chips" aria-label="Categories">${["all", ...CATEGORIES]
  .map((name) => `<a data-nav href="/shop/list${name === "all" ? "" : "/" + name}"${name === chosen ? ' aria-current="page"' : ""}>${name}</a>`)
  .join("")}</nav>`;

// ---------------------------------------------------------------- pages
/** Each gives a title, HTML, and what to tell the tracker. */
const pages = {
  home: () => ({
    title: "Fjord & Field",
    html: `<section class="hero"><h1 tabindex="-1">Good things, few of them.</h1>
      <p>A small shop that is not real. Browse it, and watch on the side what a stream makes of you.</p>
      <a class="button" href="/shop/list" data-nav data-ms-click="hero: all things">Look around</a></section>
      <h2>Liked this week</h2>${cards(PRODUCTS.filter((_, at) => at % 3 === 1))}`,
  }),

  list: (category) => {
    const chosen = CATEGORIES.includes(category) ? category : "all";
    const products = PRODUCTS.filter((product) => chosen === "all" || product.category === chosen);
    return {
      title: chosen === "all" ? "All things" : chosen,
      html: `<h1 tabindex="-1">${chosen === "all" ? "All things" : safe(chosen)}</h1>${chips(chosen)}${cards(products)}`,
      tell: () => tracker("track", "list_view", { product: { list_id: chosen } }),
    };
  },

  search: () => {
    const query = new URLSearchParams(location.search).get("q") || "";
    const words = query.toLowerCase();
    const found = PRODUCTS.filter((product) => `${product.name} ${product.category} ${product.brand} ${product.text}`.toLowerCase().includes(words));
    return {
      title: `Search: ${query}`,
      html: `<h1 tabindex="-1">“${safe(query)}”</h1><p>${found.length} ${found.length === 1 ? "thing" : "things"}</p>${
        found.length ? cards(found) : '<p class="empty">Nothing here is called that. <a href="/shop/list" data-nav>All things</a></p>'}`,
      tell: () => query && tracker("track", "search", { search: { query, results: found.length } }),
    };
  },

  product: (id) => {
    const product = find(id);
    if (!product) return pages.missing();
    const others = PRODUCTS.filter((other) => other.category === product.category && other !== product).slice(0, 3);
    return {
      title: product.name,
      html: `<article class="product">${picture(product)}<div>
          <p class="fine">${safe(product.brand)} · ${safe(product.category)}</p>
          <h1 tabindex="-1">${safe(product.name)}</h1>
          <p>${safe(product.text)}</p>
          <p class="price">${money(product.price)}</p>
          <button type="button" class="button" data-add="${product.id}">Put into cart</button>
          <p class="fine" role="status" id="added"></p>
        </div></article>
        <h2>Beside it</h2>${cards(others)}`,
      tell: () => tracker("track", "product_view", { product: asField(product) }),
    };
  },

  cart: () => ({
    title: "Cart",
    html: !lines().length
      ? `<h1 tabindex="-1">Cart</h1><p class="empty">Nothing in it yet. <a href="/shop/list" data-nav>Look around</a></p>`
      : `<h1 tabindex="-1">Cart</h1>${lineTable(true)}${totals()}
         <a class="button" href="/shop/checkout" data-nav>Go to checkout</a>`,
  }),

  checkout: () => {
    if (!lines().length) return pages.cart();
    return {
      title: "Checkout",
      html: `<h1 tabindex="-1">Checkout</h1>${lineTable(false)}${totals()}
        <form id="order" class="form">
          <label>Name <input name="name" autocomplete="off" required maxlength="60" value="Ada Example"></label>
          <label>How to pay <select name="pay"><option>Invoice</option><option>Card</option></select></label>
          <p class="fine">Nothing of this form leaves the page, and nothing is bought.</p>
          <button class="button">Place the order</button>
        </form>`,
      tell: () => tracker("track", "checkout_step", { checkout: { step: 1 } }),
    };
  },

  thanks: () => {
    const order = load("shop_last_order", null);
    return {
      title: "Thank you",
      html: order
        ? `<section class="hero"><h1 tabindex="-1">Thank you.</h1><p>Order ${safe(order.id)} over ${money(order.cents)}. It is a row in the warehouse by now.</p>
           <a class="button" href="/shop" data-nav>Back to the shop</a></section>`
        : `<h1 tabindex="-1">No order yet</h1><p class="empty"><a href="/shop/list" data-nav>Look around</a></p>`,
      // A thank-you page that is reloaded tells its order again; the order id makes it one all the same.
      tell: () => order && tracker("track", "purchase", { order: order.order }),
    };
  },

  missing: () => ({
    title: "Not here",
    html: `<h1 tabindex="-1">Not here</h1><p class="empty">There is no such page. <a href="/shop" data-nav>To the shop</a></p>`,
  }),
};

const lineTable = (editable) => `<ul class="lines">${lines()
  .map(({ product, quantity }) => `<li>${picture(product)}<span class="line-name">${safe(product.name)}</span>
    <span class="amount">${editable ? `<button type="button" data-less="${product.id}" aria-label="One ${safe(product.name)} less">−</button>` : ""}
    <span>${quantity}</span>${editable ? `<button type="button" data-add="${product.id}" aria-label="One ${safe(product.name)} more">+</button>` : " ×"}</span>
    <span class="line-price">${money(product.price * quantity)}</span></li>`)
  .join("")}</ul>`;

const totals = () => `<dl class="totals"><div><dt>Shipping</dt><dd>${shipping() ? money(shipping()) : "free"}</dd></div>
  <div><dt>Total</dt><dd>${money(goods() + shipping())}</dd></div></dl>`;

// ---------------------------------------------------------------- going from page to page
const render = (moved) => {
  const [, , name = "", argument] = location.pathname.split("/");
  const page = (Object.hasOwn(pages, name || "home") ? pages[name || "home"] : pages.missing)(argument && decodeURIComponent(argument));
  document.title = page.title;
  content.innerHTML = page.html;
  for (const drawn of content.querySelectorAll("[data-hue]")) drawn.style.setProperty("--hue", drawn.dataset.hue);
  for (const link of document.querySelectorAll(".bar [data-nav]")) {
    if (link.getAttribute("href") === location.pathname) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (moved) {
    scrollTo(0, 0);
    content.querySelector("h1")?.focus({ preventScroll: true });
  }
  if (page.tell) page.tell();
};

const go = (address) => {
  history.pushState(null, "", address);
  render(true);
};

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-nav]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
    event.preventDefault();
    go(link.getAttribute("href"));
    return;
  }
  const button = event.target.closest("[data-add],[data-less]");
  if (!button) return;
  const product = find(button.dataset.add || button.dataset.less);
  put(product, button.dataset.add ? 1 : -1);
  const added = document.getElementById("added");
  if (added) added.textContent = `In the cart: ${cart[product.id]}`;
  else {
    const again = button.dataset.add ? `[data-add="${product.id}"]` : `[data-less="${product.id}"]`;
    render(false);
    (content.querySelector(again) || content.querySelector("h1"))?.focus();
  }
});

document.addEventListener("submit", (event) => {
  event.preventDefault();
  if (event.target.id === "order") {
    tracker("track", "checkout_step", { checkout: { step: 2 } });
    const id = "D-" + Date.now().toString(36).toUpperCase();
    store("shop_last_order", { id, cents: goods() + shipping(), order: asOrder(id, lines(), shipping()) });
    cart = {};
    store("shop_cart", cart);
    showCount();
    go("/shop/thanks");
  } else {
    const query = document.getElementById("query").value.trim();
    if (query) go("/shop/search?q=" + encodeURIComponent(query));
  }
});

const login = document.getElementById("login");
const showLogin = () => {
  login.textContent = customer ? "Log out" : "Log in";
  login.title = customer ? `You are ${CUSTOMER}` : `As ${CUSTOMER}`;
};
login.addEventListener("click", () => {
  customer = !customer;
  store("shop_customer", customer);
  showLogin();
  if (customer) tracker("identify", CUSTOMER);
  else tracker("logout");
});

addEventListener("popstate", () => render(true));
showCount();
showLogin();
render(false);
startPanel();
