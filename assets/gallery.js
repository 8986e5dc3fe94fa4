// The keyboard, the larger view and the filter of a contact sheet; without it every picture is a
// plain link to its original.
"use strict";
const items = [...document.querySelectorAll(".pictures > li")];
const link = (item) => item.querySelector("a.tile");
const shown = () => items.filter((item) => !item.hidden);
const view = document.querySelector("dialog");
const filter = document.querySelector("#filter");
const told = document.querySelector("#told");
let current = null;
let enlarged = null;

const big = new Image();
view.querySelector(".about").before(big);
const original = document.createElement("a");
original.target = "_blank";
original.textContent = "Open the original";
view.querySelector(".name").before(original);

function focusOn(item) {
  if (!item) return;
  current = item;
  link(item).focus({ preventScroll: true });
  item.scrollIntoView({ block: "nearest" });
}

// The picture so many places further; the first or last stays where it is.
function further(step) {
  const all = shown();
  const place = all.indexOf(current);
  if (place < 0) return all[0];
  return all[Math.min(Math.max(place + step, 0), all.length - 1)];
}

// The picture in the next row above (-1) or below (1) that stands nearest to this one.
function row(direction) {
  if (!current || current.hidden) return shown()[0];
  const middle = (box) => box.left + box.width / 2;
  const here = current.getBoundingClientRect();
  let best = current;
  let least = Infinity;
  for (const item of shown()) {
    const there = item.getBoundingClientRect();
    const away = (there.top - here.top) * direction;
    const distance = away * 1e4 + Math.abs(middle(there) - middle(here));
    if (away > 1 && distance < least) [best, least] = [item, distance];
  }
  return best;
}

function enlarge(item) {
  current = enlarged = item;
  const tile = link(item);
  const small = tile.querySelector("img");
  big.hidden = !small;
  if (small) {
    big.src = small.src;
    big.alt = small.alt;
    big.width = small.naturalWidth * 1.5;
    big.height = small.naturalHeight * 1.5;
  }
  const about = view.querySelector(".about");
  const rest = small ? [] : [tile.querySelector(".absent").cloneNode(true)];
  about.replaceChildren(...rest, item.querySelector("p").cloneNode(true));
  original.href = tile.href;
  original.title = tile.title;
  view.querySelector(".name").textContent = tile.title;
  const all = shown();
  view.querySelector(".place").textContent = `${all.indexOf(item) + 1} of ${all.length}`;
  if (!view.open) view.showModal();
  original.focus();
}

function show(item) {
  if (!item) return;
  if (view.open) enlarge(item);
  else focusOn(item);
}

const keys = {
  ArrowRight: () => show(further(1)),
  ArrowLeft: () => show(further(-1)),
  j: () => show(further(1)),
  k: () => show(further(-1)),
  ArrowDown: () => show(view.open ? further(1) : row(1)),
  ArrowUp: () => show(view.open ? further(-1) : row(-1)),
  Home: () => show(shown()[0]),
  End: () => show(shown().at(-1)),
  "/": () => !view.open && !filter.parentElement.hidden && filter.focus(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target === filter) {
    if (event.key === "Escape") {
      filter.value = "";
      narrow();
      focusOn(current ?? shown()[0]);
    } else if (event.key === "Enter" || event.key === "ArrowDown") {
      focusOn(shown()[0]);
    } else return;
    event.preventDefault();
  } else if (Object.hasOwn(keys, event.key)) {
    keys[event.key]();
    event.preventDefault();
  }
});

for (const item of items) {
  link(item).addEventListener("focus", () => (current = item));
  link(item).addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    enlarge(item);
  });
}

// The browser has given the focus back to the picture where the view was opened; this goes on.
view.addEventListener("close", () => focusOn(enlarged));
view.addEventListener("click", (event) => {
  const step = { earlier: -1, later: 1 }[event.target.name];
  if (step) show(further(step));
  // The dialog itself is hit beside what stands in it.
  if (event.target.name === "close" || event.target === view) view.close();
});

const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
const texts = new Map(items.map((item) => [item, plain(`${item.textContent} ${link(item).title}`)]));

function narrow() {
  const words = plain(filter.value).split(/\s+/);
  for (const item of items) item.hidden = !words.every((word) => texts.get(item).includes(word));
  told.textContent = filter.value.trim() ? `${shown().length} of ${items.length} shown` : "";
}

if ("filter" in document.body.dataset && items.length > 8) filter.parentElement.hidden = false;
filter.addEventListener("input", narrow);
narrow(); // a reloaded page keeps what was typed
