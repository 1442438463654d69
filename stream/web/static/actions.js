// What each key does.

import { MOST, nextScale } from "./display.js";
import * as head from "./head.js";
import * as keys from "./keys.js";
import * as route from "./route.js";
import * as theme from "./theme.js";

const SMOOTH_STEP = 0.1;

export function start(page) {
  const to = (key, name) => ({
    key: `g ${key}`,
    meaning: name.replace(/^rl$/, "RL"),
    run: () => {
      const found = page.known?.find(({ uid }) => uid === `trainwarden-${name}`);
      if (found) route.go(head.addressOf(found, page.route.variables));
    },
  });
  const smooth = (by) => {
    const weight = Math.min(Math.max(page.display.smooth + by, 0), MOST);
    page.set({ smooth: weight ? weight.toFixed(2) : null }, { replace: true });
  };
  keys.start([
    ["Go to", [to("f", "fleet"), to("r", "run"), to("k", "ranks"), to("c", "checkpoints"), to("i", "incidents"), to("l", "rl"), to("p", "pipeline")]],
    [
      "Time",
      [
        { key: "ArrowLeft", shown: "←", meaning: "earlier", run: () => page.windows.pan(-0.25) },
        { key: "ArrowRight", shown: "→", meaning: "later", run: () => page.windows.pan(0.25) },
        { key: "+", meaning: "zoom in", run: () => page.windows.scale(0.5) },
        { key: "-", meaning: "zoom out by half", run: () => page.windows.scale(2) },
        { key: "z", meaning: "back to before the zoom", run: () => page.zoomOut() },
        { key: "w", meaning: "the whole run", run: () => page.hasRun && page.setRange("run", "now") },
        { key: "p", meaning: "pause or go on", run: () => page.toggleLive() },
        { key: "r", meaning: "refresh now", run: () => page.refresh() },
      ],
    ],
    [
      "Look",
      [
        { key: "/", meaning: "search the log, or a run", run: () => search() },
        { key: "v", meaning: "choose a run", run: () => head.openPicker("run") },
        { key: "c", meaning: "compare with other runs", run: () => head.openPicker("compare") },
        { key: "s", meaning: "smoother", run: () => smooth(SMOOTH_STEP) },
        { key: "S", meaning: "less smooth", run: () => smooth(-SMOOTH_STEP) },
        { key: "l", meaning: "log, linear or as it was", run: () => page.set({ scale: nextScale(page.display.scale) }) },
        { key: "t", meaning: "dark or light", run: theme.toggle },
        { key: "Escape", shown: "Esc", meaning: "all panels again", run: () => page.set({ viewPanel: null }) },
      ],
    ],
  ]);
}

// The field of the log in sight, else that of the incidents, else the list of runs.
function search() {
  const field = document.querySelector(".panel.logs input[type=search], .incident-page input[type=search]");
  if (!field) return head.openPicker("run");
  field.scrollIntoView({ block: "center" });
  field.focus();
  return true;
}
