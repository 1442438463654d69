// One tooltip for the page, beside the pointer and always inside the window.

import { byId } from "./dom.js";

export function show(x, y, ...content) {
  const node = byId("tooltip");
  node.replaceChildren(...content);
  node.hidden = false;
  const { width, height } = node.getBoundingClientRect();
  const left = x + 16 + width > innerWidth ? x - width - 16 : x + 16;
  node.style.left = `${Math.max(left, 4)}px`;
  node.style.top = `${Math.max(Math.min(y + 12, innerHeight - height - 4), 4)}px`;
}

export function hide() {
  byId("tooltip").hidden = true;
}
