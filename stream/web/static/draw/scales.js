// Axes of the charts: where the scale ends, where the ticks are, what they say.

import { clock, day } from "../ranges.js";
import { show } from "../units.js";

export const isSymlog = (config) => config.custom?.scaleDistribution?.type === "symlog";
export const threshold = (config) => config.custom?.scaleDistribution?.linearThreshold ?? 1;

// Ends of the y axis: a little air around the data, on the scale it is drawn on.
export function yRange(config) {
  const linear = isSymlog(config) ? threshold(config) : null;
  const to = (value) => (linear ? Math.asinh(value / linear) : value);
  const back = (value) => (linear ? Math.sinh(value) * linear : value);
  return (_, low, high) => {
    if (low == null) return [config.min ?? 0, config.max ?? 1];
    const air = (to(high) - to(low)) * 0.06 || Math.abs(to(high)) * 0.1 || 1;
    return [config.min ?? back(to(low) - air), config.max ?? back(to(high) + air)];
  };
}

// Round numbers, or powers of two for bytes.
function niceStep(span, count, binary) {
  const rough = span / Math.max(count, 1);
  if (binary) return 2 ** Math.ceil(Math.log2(rough));
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
}

function evenTicks(low, high, count, binary) {
  const step = niceStep(high - low, count, binary);
  const ticks = [];
  for (let index = Math.ceil(low / step); index * step <= high; index += 1)
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

// Even ticks where the range is narrow, powers of ten where it spans decades.
export function yTicks(config) {
  return (u, _, low, high) => {
    const count = Math.max(2, Math.floor(u.bbox.height / devicePixelRatio / 34));
    const wide =
      isSymlog(config) && Math.max(Math.abs(low), Math.abs(high)) > 30 && high > 12 * Math.max(low, 1);
    return wide ? decades(low, high, count) : evenTicks(low, high, count, config.unit === "bytes");
  };
}

export const yLabels = (config) => (_, ticks) => ticks.map((tick) => show(tick, config.unit));

export function xLabels(u, ticks, _, __, step) {
  const days = u.scales.x.max - u.scales.x.min > 864e5;
  return ticks.map((tick) => {
    if (step >= 864e5) return day(tick).slice(5);
    const text = step < 1000 ? clock(tick, 3) : step < 60_000 ? clock(tick) : clock(tick).slice(0, 5);
    return days ? `${day(tick).slice(5)} ${text}` : text;
  });
}

export const axisWidth = (_, labels) =>
  Math.max(34, 16 + 6.4 * Math.max(0, ...(labels ?? []).map((label) => label.length)));
