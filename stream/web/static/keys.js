// The keyboard, and the dialog that tells about it. A key may be two, one after the other: "g f".

import { byId, element } from "./dom.js";

const PATIENCE_MS = 1500;

const HANDS = [
  ["drag", "zoom all charts"],
  ["double click", "zoom out"],
  ["shift + drag", "pan; so does a sideways wheel"],
  ["ctrl + wheel", "zoom around the pointer"],
];

// `groups`: [title, [{ key, meaning, run, shown }]].
export function start(groups) {
  const dialog = byId("keys");
  const help = { key: "?", meaning: "this list", run: () => dialog.showModal() };
  const all = [...groups.flatMap(([, actions]) => actions), help];
  const close = element("button", { type: "button", onclick: () => dialog.close() }, "Close");
  dialog.append(
    element("header", {}, element("h2", {}, "Keys"), close),
    element(
      "div",
      { class: "columns" },
      ...groups.map(([title, actions]) => list(title, actions.map(({ key, shown, meaning }) => [shown ?? key, meaning]))),
      list("On a chart", HANDS),
    ),
  );
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  byId("help").addEventListener("click", help.run);

  let first = null;
  let forget;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, textarea, select") || document.querySelector("dialog[open]")) return;
    const action = all.find(({ key }) => key === (first ? `${first} ${event.key}` : event.key));
    const begins = !first && all.some(({ key }) => key.startsWith(`${event.key} `));
    clearTimeout(forget);
    first = begins ? event.key : null;
    if (begins) forget = setTimeout(() => (first = null), PATIENCE_MS);
    if (!action) return;
    event.preventDefault();
    action.run();
  });
}

function list(title, entries) {
  return element(
    "section",
    {},
    element("h3", {}, title),
    element(
      "dl",
      {},
      ...entries.flatMap(([keys, meaning]) => [
        element("dt", {}, ...keys.split(" ").flatMap((key, index) => [index ? " " : "", element("kbd", {}, key)])),
        element("dd", {}, meaning),
      ]),
    ),
  );
}
