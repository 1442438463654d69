// How curves are drawn, by the reader's wish: the scale of their axis, and how much they are smoothed.

import { byId, element } from "./dom.js";

const SCALES = [null, "log", "linear"];
const WORDS = { log: "Log", linear: "Linear" };

export const MOST = 0.99;

export function parse({ scale, smooth }) {
  const weight = Number(smooth);
  return {
    scale: SCALES.includes(scale) ? scale : null,
    smooth: weight > 0 ? Math.min(weight, MOST) : 0,
  };
}

export const nextScale = (scale) => SCALES[(SCALES.indexOf(scale ?? null) + 1) % SCALES.length];

let slider;
let value;
let scaleButton;

export function start(page) {
  slider = element("input", {
    type: "range", min: "0", max: String(MOST), step: "0.01", value: "0", "aria-label": "Smoothing",
    oninput: () => page.set({ smooth: Number(slider.value) ? slider.value : null }, { replace: true }),
  });
  value = element("output", {});
  scaleButton = element("button", { type: "button", onclick: () => page.set({ scale: nextScale(page.display.scale) }) });
  byId("display").append(
    element("label", { title: "Exponential moving average, as in TensorBoard; the raw line stays behind (s, S)" }, element("span", { class: "label" }, "Smooth"), slider, value),
    scaleButton,
  );
}

export function show({ scale, smooth }, wanted) {
  byId("display").hidden = !wanted;
  byId("chosen").hidden = false;
  if (document.activeElement !== slider || !smooth) slider.value = String(smooth);
  value.textContent = smooth ? smooth.toFixed(2) : "off";
  scaleButton.textContent = WORDS[scale] ?? "Auto scale";
  scaleButton.setAttribute("aria-pressed", String(Boolean(scale)));
  scaleButton.title = "Axis of the curves: as the dashboard says, logarithmic, linear (l)";
}
