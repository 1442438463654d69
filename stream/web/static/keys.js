// The keyboard, and the dialog that tells about it.

import { byId, element } from "./dom.js";

export function start(actions) {
  const dialog = byId("keys");
  const help = { key: "?", meaning: "this list", run: () => dialog.showModal() };
  const all = [...actions, help];
  dialog.append(
    element("h2", {}, "Keys"),
    element(
      "dl",
      {},
      ...all.flatMap(({ key, meaning }) => [
        element("dt", {}, element("kbd", {}, key)),
        element("dd", {}, meaning),
      ]),
      element("dt", {}, "drag"),
      element("dd", {}, "zoom into a chart"),
      element("dt", {}, "double click"),
      element("dd", {}, "zoom out"),
    ),
  );
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  byId("help").addEventListener("click", help.run);
  document.addEventListener("keydown", (event) => {
    if (
      event.ctrlKey ||
      event.metaKey ||
      event.altKey ||
      event.target.matches("input, textarea, select") ||
      dialog.open
    )
      return;
    const action = all.find(({ key }) => key === event.key);
    if (!action) return;
    event.preventDefault();
    action.run();
  });
}
