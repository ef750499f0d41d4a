// The page's side of the protocol: it tells the service what the visitor does and asks it what to show.
// Everything goes through `call`, which also writes the list above the foot.
"use strict";

(() => {
  const { customer, user } = document.body.dataset;
  const FOLLOW = 1100; // ms: an acknowledged event is in the next answer of any worker within one second
  const KEPT = 14;
  const SPARE = 4; // a box asks for more than it shows: the shop shows a name once and not what the page shows already
  const MOST = 50;

  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, text, className) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    if (className) node.className = className;
    return node;
  };

  // --- calls -----------------------------------------------------------------------------------------------

  async function call(method, url) {
    const started = performance.now();
    let status = "no answer";
    try {
      const response = await fetch(url, { method, keepalive: method === "POST" });
      status = response.status;
      return response;
    } finally {
      note({ method, url, status, ms: Math.round(performance.now() - started) });
    }
  }

  function noted() {
    try {
      return JSON.parse(sessionStorage.getItem("calls") || "[]");
    } catch {
      return [];
    }
  }

  function note(entry) {
    sessionStorage.setItem("calls", JSON.stringify([entry, ...noted()].slice(0, KEPT)));
    showCalls();
  }

  function showCalls() {
    const entries = noted();
    for (const count of all("[data-wire-count]")) count.textContent = entries.length;
    $("[data-wire-list]").replaceChildren(
      ...entries.map(({ method, url, status, ms }) => {
        const row = make("li");
        const good = Number(status) < 400;
        row.append(make("b", method), make("code", url), make("span", `${status} · ${ms} ms`, good ? "good" : "bad"));
        return row;
      }),
    );
  }

  // --- tracking --------------------------------------------------------------------------------------------

  function path(event, key) {
    const [, type, item] = key.match(/^([0-9]+):(.*)$/s);
    return `/api/${customer}/${event}/${encodeURIComponent(user)}/${type}/${encodeURIComponent(item)}`;
  }

  function track(event, key, parameters = {}) {
    const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value));
    return call("POST", path(event, key) + (query.size ? `?${query}` : ""));
  }

  /** A link of an answer, as a path: it may name another host, which the page's policy does not allow. */
  function local(link) {
    const url = new URL(link, location.href);
    return url.pathname + url.search;
  }

  // --- boxes -----------------------------------------------------------------------------------------------

  function question(box) {
    const { scenario, context, category } = box.dataset;
    const query = [`numrecs=${Math.min(MOST, SPARE * shownIn(box))}`, "attribute=title"];
    if (context) query.push(`contextitems=${context.split(",").map(encodeURIComponent).join(",")}`);
    if (category) query.push(`categorypath=${encodeURIComponent(category)}`);
    return `/api/v2/${customer}/${encodeURIComponent(user)}/${encodeURIComponent(scenario)}?${query.join("&")}`;
  }

  const shownIn = (box) => Number(box.dataset.number);

  /** What the service answers for a box, and the shop's own cards of it; null where there is nothing to show. */
  async function answered(box) {
    const cards = $("[data-cards]", box);
    const response = await call("GET", question(box));
    const answer = await response.json();
    if (!response.ok) return say(cards, answer.detail);
    const items = answer.recommendationItems;
    if (!items.length) return say(cards, "No recommendation for this visitor here.");
    const drawn = make("template");
    drawn.innerHTML = await (await fetch(`/demo/cards?${named(items)}`)).text(); // the shop's own, escaped there
    return { items, cards: all("[data-key]", drawn.content) };
  }

  /** The cards for a box: never what the page itself shows, a name once; names of boxes above only to fill up. */
  function chosen(cards, number, own, above) {
    const names = new Set(own);
    const once = cards.filter(({ dataset }) => !names.has(dataset.name) && names.add(dataset.name));
    const fresh = once.filter(({ dataset }) => !above.has(dataset.name));
    const again = once.filter(({ dataset }) => above.has(dataset.name));
    return [...fresh, ...again].slice(0, number);
  }

  function show(box, answer, picked) {
    const cards = $("[data-cards]", box);
    if (!picked.length) return say(cards, "No recommendation for this visitor here.");
    const before = all("[data-key]", cards).map((card) => card.dataset.key);
    const items = picked.map((card) => answer.items.find((one) => keyOf(one) === card.dataset.key));
    picked.forEach((card, place) => {
      card.addEventListener("click", () => void call("POST", local(items[place].links.clickRecommended)));
      card.classList.toggle("new", before.length > 0 && !before.includes(card.dataset.key));
    });
    cards.replaceChildren(...picked);
    cards.removeAttribute("aria-busy");
    whenSeen(box, () => shown(items));
    if (!$("[data-reasons]", box).hidden) void explain(box);
    return null;
  }

  const keyOf = (item) => `${item.itemType}:${item.itemId}`;
  const named = (items) => new URLSearchParams(items.map((one) => ["item", `${one.itemType}:${one.itemId}`]));

  function say(cards, sentence) {
    cards.removeAttribute("aria-busy");
    cards.replaceChildren(make("p", sentence, "note"));
    return null;
  }

  /** One call for all items of a box that one model answered, as the protocol allows; signatures in their order. */
  function shown(items) {
    const calls = new Map();
    for (const { links } of items) {
      const [, before, item, query, signature] = local(links.rendered).match(/^(.*\/)([^/?]+)(\?.*&sig=)(\w*)$/);
      const key = before + "\n" + query;
      calls.set(key, [...(calls.get(key) || []), [item, signature]]);
    }
    for (const [key, pairs] of calls) {
      const [before, query] = key.split("\n");
      const [ids, signatures] = [0, 1].map((part) => pairs.map((pair) => pair[part]).join(","));
      void call("POST", before + ids + query + signatures);
    }
  }

  function whenSeen(box, act) {
    const observer = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) {
        observer.disconnect();
        act();
      }
    });
    observer.observe(box);
  }

  function unanswered(box, error) {
    console.error(error);
    return say($("[data-cards]", box), "The service does not answer.");
  }

  /** All boxes are asked at once and filled from the top of the page, so that no two show the same. */
  async function fillAll() {
    const boxes = all("[data-scenario]");
    const asked = boxes.map((box) => answered(box).catch((error) => unanswered(box, error)));
    const own = all("[data-product], [data-line]").map(({ dataset }) => dataset.name);
    const above = new Set();
    for (const [place, box] of boxes.entries()) {
      const answer = await asked[place];
      if (!answer) continue;
      const picked = chosen(answer.cards, shownIn(box), own, above);
      picked.forEach(({ dataset }) => above.add(dataset.name));
      show(box, answer, picked);
    }
  }

  // --- why -------------------------------------------------------------------------------------------------

  async function explain(box) {
    const url = question(box) + "&explain=true";
    const answer = await (await call("GET", url)).json();
    const keys = all("[data-key]", box).map(({ dataset }) => dataset.key);
    const items = (answer.recommendationItems || []).filter((item) => keys.includes(keyOf(item)));
    const supporting = items.flatMap(({ origin }) =>
      origin ? origin.itemIds.map((itemId) => ({ itemType: origin.itemType, itemId })) : [],
    );
    const asked = [...items, ...supporting].filter(unique).slice(0, 50);
    const names = await (await fetch(`/demo/names?${named(asked)}`)).json();
    const list = make("ol");
    list.append(...items.map((item) => reason(item, names)));
    const raw = make("details");
    raw.append(make("summary", "The whole answer"), make("pre", JSON.stringify(answer, null, 1)));
    const shell = `curl '${location.origin}${url.replaceAll("'", "%27")}'`;
    $("[data-reasons]", box).replaceChildren(make("p", "Ask it yourself:"), make("pre", shell), list, raw);
  }

  const unique = (one, place, items) =>
    items.findIndex((other) => other.itemId === one.itemId && other.itemType === one.itemType) === place;

  const SOURCES = { CLICK: "looked at", CONSUME: "read", BUY: "bought", BASKET: "put in the basket", RATE: "rated" };

  function reason({ itemId, itemType, relevance, origin, explanation = {} }, names) {
    const row = make("li");
    const { model, type, usersCounted, lists = [] } = explanation;
    row.append(make("b", names[`${itemType}:${itemId}`] || itemId), ` ${model} (${type}), relevance ${relevance}`);
    if (origin) {
      const items = origin.itemIds.map((id) => names[`${origin.itemType}:${id}`] || id);
      const what = SOURCES[origin.source] ? `this visitor ${SOURCES[origin.source]}` : "it goes with";
      row.append(make("span", `because ${what} ${items.slice(0, 3).join(", ")}${items.length > 3 ? " and more" : ""}`));
    } else if (lists.length) {
      row.append(make("span", `from the list ${lists.join(", ")}`));
    }
    if (usersCounted) row.append(make("span", `${usersCounted.toLocaleString("en")} visitors behind it`));
    return row;
  }

  function toggleWhy(button) {
    const box = button.closest("[data-scenario]");
    const reasons = $("[data-reasons]", box);
    reasons.hidden = !reasons.hidden;
    button.setAttribute("aria-expanded", String(!reasons.hidden));
    if (!reasons.hidden) void explain(box);
  }

  // --- the basket, a cookie as `serving/shop/basket.py` reads it -------------------------------------------

  function basket() {
    const cookie = document.cookie.split("; ").find((one) => one.startsWith("shop_basket="));
    const lines = (cookie || "").slice("shop_basket=".length).split("|").filter(Boolean);
    return new Map(lines.map((line) => line.split("*")).map(([key, quantity]) => [key, Number(quantity)]));
  }

  function keep(lines) {
    const text = [...lines].map(([key, quantity]) => `${key}*${quantity}`).join("|");
    document.cookie = `shop_basket=${text}; path=/demo/; samesite=lax`;
    $("[data-count]").textContent = [...lines.values()].reduce((sum, quantity) => sum + quantity, 0);
  }

  /** A key as the cookie holds it: the id percent-encoded, also the signs that the cookie uses itself. */
  function coded(key) {
    const [, type, item] = key.match(/^([0-9]+):(.*)$/s);
    return `${type}:${encodeURIComponent(item).replaceAll("*", "%2A")}`;
  }

  // --- what the buttons do ---------------------------------------------------------------------------------

  async function act(button) {
    button.disabled = true;
    const response = await ACTIONS[button.dataset.do](button);
    button.disabled = false;
    if (response && !response.ok) toast((await response.json()).detail);
  }

  const ACTIONS = {
    async basket(button) {
      const { product } = button.closest("[data-product]").dataset;
      const response = await track("basket", product);
      if (response.ok) {
        const lines = basket();
        keep(lines.set(coded(product), Math.min(99, (lines.get(coded(product)) || 0) + 1)));
        follow("In the basket. The service knows, and the boxes follow.");
      }
      return response;
    },
    async buy(button) {
      const { product, price } = button.closest("[data-product]").dataset;
      const response = await track("buy", product, { quantity: "1", fullprice: price });
      if (response.ok) follow("Bought. The service knows, and the boxes follow.");
      return response;
    },
    async remove(button) {
      const { line } = button.closest("[data-line]").dataset;
      const response = await track("deletefrombasket", line);
      if (response.ok) {
        const lines = basket();
        lines.delete(coded(line));
        keep(lines);
        location.reload();
      }
      return response;
    },
    async checkout() {
      for (const { dataset } of all("[data-line]")) {
        const response = await track("buy", dataset.line, { quantity: dataset.quantity, fullprice: dataset.price });
        if (!response.ok) return response;
        const lines = basket();
        lines.delete(coded(dataset.line));
        keep(lines);
      }
      location.assign("/demo/");
      return null;
    },
  };

  function follow(sentence) {
    toast(sentence);
    setTimeout(fillAll, FOLLOW);
  }

  function toast(sentence) {
    const node = $("[data-toast]");
    node.textContent = sentence;
    node.classList.add("on");
    clearTimeout(toast.timer);
    toast.timer = setTimeout(() => node.classList.remove("on"), 4000);
  }

  // --- begin -----------------------------------------------------------------------------------------------

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button && button.dataset.do) void act(button);
    if (button && "why" in button.dataset) toggleWhy(button);
  });
  const wire = $("[data-wire]");
  wire.open = sessionStorage.getItem("wire") === "open";
  wire.addEventListener("toggle", () => sessionStorage.setItem("wire", wire.open ? "open" : ""));
  $("[data-calls]").addEventListener("click", () => {
    wire.open = true;
    wire.scrollIntoView({ block: "nearest" });
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) void fillAll(); // back from the browser's cache: what was clicked since counts
  });

  showCalls();
  const product = $("[data-product]");
  if (product) void track("click", product.dataset.product, { categorypath: product.dataset.path });
  void fillAll();
})();
