// Axes of the charts: where the scale ends, where the ticks are, what they say.

import { clock, day } from "../ranges.js";
import { show } from "../units.js";

// `wish` is the reader's: "log", "linear", or null for what the dashboard says.
export const isSymlog = (config, wish = null) => !wish && config.custom?.scaleDistribution?.type === "symlog";
export const isLog = (config, wish = null) =>
  wish === "log" || (!wish && config.custom?.scaleDistribution?.type === "log");
export const linear = (config) => config.custom?.scaleDistribution?.linearThreshold ?? 1;

// Lines of one unit share an axis.
export const keyOf = (config) => `y ${config.unit ?? "none"} ${config.custom?.axisPlacement === "right" ? "right" : ""}`;

// Ends of the y axis: a little air around the data, on the scale it is drawn on.
export function yRange(config, wish = null) {
  const least = isSymlog(config, wish) ? linear(config) : null;
  const to = (value) => (least ? Math.asinh(value / least) : value);
  const back = (value) => (least ? Math.sinh(value) * least : value);
  return (_, low, high) => {
    if (low == null) return [config.min ?? 0, config.max ?? 1];
    const air = (to(high) - to(low)) * 0.06 || Math.abs(to(high)) * 0.1 || 1;
    const floor = low >= 0 && !least ? Math.max(0, low - air) : back(to(low) - air);
    const [bottom, top] = [config.min ?? floor, config.max ?? back(to(high) + air)];
    return bottom < top ? [bottom, top] : [bottom, bottom + 1];
  };
}

export function logRange(_, low, high) {
  if (low == null || !(high > 0)) return [0.1, 1];
  const bottom = low > 0 ? low : high / 1e6;
  return bottom < high ? [bottom / 1.2, high * 1.2] : [bottom / 3, bottom * 3];
}

// Round numbers, or powers of two for bytes.
function niceStep(span, count, binary) {
  const rough = span / Math.max(count, 1);
  if (binary) return 2 ** Math.ceil(Math.log2(rough));
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough * 0.999) ?? 10 * power;
}

function evenTicks(low, high, count, binary) {
  const step = niceStep(high - low, count, binary);
  const ticks = [];
  for (let index = Math.ceil(low / step); index * step <= high && ticks.length < 100; index += 1)
    ticks.push(Number((index * step).toPrecision(12)));
  return ticks;
}

function decades(low, high, count) {
  const ticks = [];
  const every = Math.max(
    1,
    Math.ceil(Math.log10(Math.max(Math.abs(high), Math.abs(low), 10)) / Math.max(count, 1)),
  );
  for (let power = 0; 10 ** power <= Math.max(Math.abs(low), Math.abs(high)); power += every)
    ticks.push(-(10 ** power), 10 ** power);
  return [0, ...ticks].filter((tick) => tick >= low && tick <= high).sort((a, b) => a - b);
}

const rows = (u) => Math.max(2, Math.floor(u.bbox.height / devicePixelRatio / 34));

// Even ticks where the range is narrow, powers of ten where it spans decades.
export function yTicks(config, wish) {
  return (u, _, low, high) => {
    const wide =
      isSymlog(config, wish) && Math.max(Math.abs(low), Math.abs(high)) > 30 && high > 12 * Math.max(low, 1);
    return wide ? decades(low, high, rows(u)) : evenTicks(low, high, rows(u), config.unit === "bytes");
  };
}

// Powers of ten; between close ones 2 and 5 of them, and within one decade what is even.
export function logTicks(u, _, low, high) {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const factors = (last - first) * 3 <= rows(u) + 2 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil((last - first) / rows(u)));
  const ticks = [];
  for (let power = first; power <= last; power += every)
    for (const factor of factors) ticks.push(Number((factor * 10 ** power).toPrecision(12)));
  const seen = ticks.filter((tick) => tick >= low && tick <= high);
  return seen.length > 1 ? seen : evenTicks(low, high, rows(u), false).filter((tick) => tick > 0);
}

const isPlain = (unit) => unit == null || unit === "none";

export const yLabels = (config) => (_, ticks) =>
  ticks.map((tick) => show(tick, isPlain(config.unit) && Math.abs(tick) >= 1e5 ? "sci" : config.unit));

const STEPS_MS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5,
  108e5, 216e5, 432e5, 864e5, 1728e5, 6048e5, 12096e5, 2592e6,
];

// Round times of the reader's own clock.
export function timeTicks(u, _, low, high) {
  const count = Math.max(2, Math.floor(u.bbox.width / devicePixelRatio / 72));
  const step = STEPS_MS.find((one) => (high - low) / one <= count) ?? STEPS_MS.at(-1);
  const zone = step >= 36e5 ? new Date(low).getTimezoneOffset() * 6e4 : 0;
  const ticks = [];
  for (let tick = Math.ceil((low - zone) / step) * step + zone; tick <= high && ticks.length < 100; tick += step)
    ticks.push(tick);
  return ticks;
}

export function xLabels(u, ticks) {
  const step = (ticks[1] ?? ticks[0] + 1e3) - ticks[0];
  const days = u.scales.x.max - u.scales.x.min > 864e5;
  return ticks.map((tick) => {
    if (step >= 864e5) return day(tick).slice(5);
    const text = step < 1000 ? clock(tick, 3) : step < 60_000 ? clock(tick) : clock(tick).slice(0, 5);
    return days ? `${day(tick).slice(5)} ${text}` : text;
  });
}

export const stepLabels = (_, ticks) => ticks.map((tick) => show(tick, "short"));

export const axisWidth = (_, labels) =>
  Math.min(140, Math.max(34, 16 + 6.4 * Math.max(0, ...(labels ?? []).map((label) => label.length))));
