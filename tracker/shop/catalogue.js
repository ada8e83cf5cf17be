/** What the shop sells, with pictures drawn here: the page needs nothing from elsewhere. */

const CURRENCY = "EUR";

/** The visitor's language; some browsers name one that their own formatters refuse. */
export const LANGUAGE = (() => {
  try {
    return Intl.getCanonicalLocales(navigator.language)[0];
  } catch {
    return "en";
  }
})();

/** [id, name, category, brand, price in cents, hue, description, picture] */
const ROWS = [
  ["mug", "Stoneware mug", "kitchen", "Heron", 1490, 28, "Holds 30 cl of coffee, warm for as long as you forget it.",
    '<rect x="34" y="38" width="44" height="46" rx="8" class="a"/><path d="M78 48h8a10 10 0 0 1 0 22h-8" class="l"/><path d="M46 30q4-6 0-12M58 30q4-6 0-12" class="s"/>'],
  ["kettle", "Enamel kettle", "kitchen", "Ember", 3950, 4, "Whistles in E flat. Two litres, all hobs.",
    '<path d="M34 84q-6-38 24-40 30 2 26 40z" class="a"/><path d="M84 62l12-14" class="l"/><path d="M40 44q18-30 38 0" class="s"/><circle cx="59" cy="42" r="4" class="b"/>'],
  ["board", "Bread board", "kitchen", "Alder", 2400, 36, "One piece of alder, oiled. Gets better with knives.",
    '<rect x="30" y="46" width="60" height="34" rx="6" class="a"/><circle cx="82" cy="54" r="3" class="h"/><path d="M36 58h36M36 66h40M36 74h30" class="t"/>'],
  ["pan", "Iron pan", "kitchen", "Ember", 6900, 210, "Heavy, honest, and yours for life. 26 cm.",
    '<circle cx="52" cy="58" r="26" class="a"/><circle cx="52" cy="58" r="18" class="b"/><path d="M74 44l24-16" class="l"/>'],
  ["lamp", "Desk lamp", "home", "Fjord", 5900, 160, "Warm light where the book is, and nowhere else.",
    '<path d="M40 86h36" class="l"/><path d="M58 86V60L44 42" class="s"/><path d="M30 46l22-20 12 14-22 18z" class="a"/><circle cx="50" cy="46" r="5" class="h"/>'],
  ["blanket", "Wool blanket", "home", "Grove", 7900, 265, "Woven from one flock. 130 by 180 cm.",
    '<rect x="30" y="36" width="58" height="44" rx="4" class="a"/><path d="M30 48h58M30 60h58M30 72h58" class="t"/><path d="M34 80v8M44 80v8M54 80v8M64 80v8M74 80v8M84 80v8" class="s"/>'],
  ["clock", "Wall clock", "home", "Heron", 4500, 190, "Silent. Tells the time, and nothing else.",
    '<circle cx="60" cy="56" r="30" class="a"/><circle cx="60" cy="56" r="24" class="h"/><path d="M60 56V40M60 56l12 8" class="l"/>'],
  ["stool", "Oak stool", "home", "Alder", 8900, 44, "For sitting, standing on, and putting plants on.",
    '<rect x="32" y="40" width="56" height="10" rx="5" class="a"/><path d="M42 50l-6 36M78 50l6 36M40 70h40" class="l"/>'],
  ["fig", "Potted fig", "garden", "Grove", 2900, 110, "Likes a window, dislikes moving. 60 cm.",
    '<path d="M44 66h32l-4 22H48z" class="b"/><path d="M60 66V40" class="l"/><ellipse cx="48" cy="38" rx="12" ry="8" class="a"/><ellipse cx="72" cy="34" rx="13" ry="9" class="a"/><ellipse cx="60" cy="24" rx="11" ry="8" class="a"/>'],
  ["can", "Watering can", "garden", "Fjord", 2750, 150, "Long neck, no drips. 1.5 litres.",
    '<path d="M34 48h36v38H34z" class="a"/><path d="M70 66l24-22" class="l"/><path d="M34 54q-18 8 0 24" class="s"/><path d="M90 40l10 8" class="l"/>'],
  ["headphones", "Headphones", "desk", "Iris", 12900, 230, "Close the door without closing it. 30 hours.",
    '<path d="M32 66V58a28 28 0 0 1 56 0v8" class="l"/><rect x="26" y="60" width="14" height="26" rx="7" class="a"/><rect x="80" y="60" width="14" height="26" rx="7" class="a"/>'],
  ["notebook", "Linen notebook", "desk", "Birch & Co", 1200, 340, "192 pages that lie flat.",
    '<rect x="38" y="26" width="46" height="62" rx="4" class="a"/><path d="M48 26v62" class="t"/><path d="M56 42h20M56 50h16" class="s"/>'],
];

/** One thing that is sold; `price` in cents. */
export const PRODUCTS = ROWS.map(([id, name, category, brand, price, hue, text, shapes]) => ({
  id, name, category, brand, price, hue, text, shapes,
}));

export const CATEGORIES = ["kitchen", "home", "garden", "desk"];

export const find = (id) => PRODUCTS.find((product) => product.id === id);

export const money = (cents) =>
  new Intl.NumberFormat(LANGUAGE, { style: "currency", currency: CURRENCY }).format(cents / 100);

/** Its picture, as SVG text. */
export const picture = (product) =>
  `<svg class="picture" viewBox="0 0 120 112" aria-hidden="true" data-hue="${product.hue}">${product.shapes}</svg>`;

/** As the events' catalogue wants a product; amounts in major units, as text. */
export const asField = (product, quantity) => ({
  id: product.id, name: product.name, category: product.category, brand: product.brand,
  price: (product.price / 100).toFixed(2), currency: CURRENCY, ...(quantity ? { quantity } : {}),
});

/** As the events' catalogue wants an order. */
export const asOrder = (id, lines, shipping) => {
  const goods = lines.reduce((sum, line) => sum + line.product.price * line.quantity, 0);
  const major = (cents) => (cents / 100).toFixed(2);
  return {
    id, currency: CURRENCY, amount: major(goods + shipping), shipping: major(shipping),
    lines: lines.map(({ product, quantity }) => ({
      product_id: product.id, name: product.name, category: product.category, quantity, price: major(product.price),
    })),
  };
};
