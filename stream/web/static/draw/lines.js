// How the lines of a chart look: style, stacks, log scale, smoothing.

import uPlot from "../vendor/uplot.js";
import { cssColor, lineColor } from "../fields.js";
import { smoothed } from "./smooth.js";
import * as scales from "./scales.js";

// null says "not a number" to uPlot (a gap), undefined "no sample here" (the line goes on).
const drawable = (value) => (value == null ? undefined : typeof value === "number" ? value : null);

const alpha = (color, share) =>
  `color-mix(in srgb, ${color} ${Math.round(share * 100)}%, transparent)`;

// A colour with its opacity, as the canvas takes it everywhere.
function faint(color, share) {
  if (!/^#[0-9a-f]{6}$/i.test(color)) return alpha(color, share);
  return color + Math.round(share * 255).toString(16).padStart(2, "0");
}

export const isStacked = (config) => ["normal", "percent"].includes(config.custom?.stacking?.mode);

// The columns for uPlot: as they are, stacked, or smoothed with the raw ones behind.
export function columns(frame, config, { scale, smooth }, hidden) {
  let values = frame.series.map((line) => line.values.map(drawable));
  if (isStacked(config) && config.custom.drawStyle !== "bars") values = values.map(held);
  if (isStacked(config)) return [frame.times, ...stack(values, config, frame, hidden)];
  if (scales.isLog(config, scale)) values = values.map((line) => line.map((one) => (one <= 0 ? null : one)));
  if (!smooth) return [frame.times, ...values];
  return [frame.times, ...values, ...values.map((line) => smoothed(line, smooth))];
}

// Lines do not share all times: between its samples each keeps the last one.
function held(values) {
  let last;
  const end = values.findLastIndex((value) => value != null);
  return values.map((value, index) => (index > end ? undefined : (last = value ?? last)));
}

// Each line on top of those after it, so that the first, drawn first, is the tallest.
function stack(values, config, frame, hidden) {
  const shown = values.map((line, index) => (hidden.has(frame.series[index].name) ? null : line));
  const total = frame.times.map((_, at) => shown.reduce((sum, line) => sum + (line?.[at] ?? 0), 0));
  const percent = config.custom.stacking.mode === "percent";
  const above = frame.times.map(() => 0);
  const stacked = new Array(values.length);
  for (let index = values.length - 1; index >= 0; index -= 1) {
    stacked[index] = above.map((base, at) => {
      above[at] = base + (shown[index]?.[at] ?? 0);
      return percent ? above[at] / (total[at] || 1) : above[at];
    });
  }
  return stacked;
}

const INTERPOLATIONS = {
  stepAfter: () => uPlot.paths.stepped({ align: 1 }),
  stepBefore: () => uPlot.paths.stepped({ align: -1 }),
  smooth: () => uPlot.paths.spline(),
};

function paths({ drawStyle, lineInterpolation }) {
  if (drawStyle === "bars") return { paths: uPlot.paths.bars({ size: [0.8, 48], align: 1 }), points: { show: false } };
  if (drawStyle === "points") return { paths: () => null, points: { show: true, size: 5 } };
  return INTERPOLATIONS[lineInterpolation] ? { paths: INTERPOLATIONS[lineInterpolation]() } : {};
}

const dashed = ({ lineStyle }) => (["dash", "dot"].includes(lineStyle?.fill) ? { dash: lineStyle.dash ?? [6, 4] } : {});

// Options of one line for uPlot; `behind` is the raw line of one that is smoothed.
export function line(config, index, { name, hidden, scale, smooth, behind = false, count = 1 }) {
  const custom = config.custom ?? {};
  const stroke = lineColor(config, index);
  const solid = custom.drawStyle === "bars" || isStacked(config);
  const opacity = (solid ? Math.min(Math.max(custom.fillOpacity ?? 0, 30), 50) : (custom.fillOpacity ?? 0)) / 100;
  const plain = scales.isSymlog(config, scale) || scales.isLog(config, scale) || smooth || (count > 4 && !solid);
  return {
    label: name,
    stroke: behind ? faint(stroke, 0.28) : stroke,
    fill: opacity && !plain ? faint(stroke, custom.drawStyle === "bars" ? 0.9 : opacity) : undefined,
    width: (custom.lineWidth ?? 1.5) * (count > 16 ? 0.7 : 1) * (behind ? 0.8 : 1),
    show: !hidden.has(name),
    spanGaps: custom.spanNulls === true,
    points: { size: 4 },
    scale: scales.keyOf(config),
    ...dashed(custom),
    ...(behind || smooth ? { points: { show: behind ? false : undefined, size: 4 } } : {}),
    ...paths(custom),
  };
}

// Lines across, or areas, where the dashboard says that a value is good or bad.
export function drawThresholds(u, config) {
  const mode = config.custom?.thresholdsStyle?.mode ?? "off";
  if (mode === "off") return;
  const { left, top, width, height } = u.bbox;
  const key = scales.keyOf(config);
  const steps = (config.thresholds?.steps ?? []).filter(({ value }) => value != null);
  u.ctx.save();
  u.ctx.beginPath();
  u.ctx.rect(left, top, width, height);
  u.ctx.clip();
  steps.forEach(({ value, color }, index) => {
    const y = u.valToPos(value, key, true);
    const end = steps[index + 1] ? u.valToPos(steps[index + 1].value, key, true) : top;
    if (mode.includes("area")) {
      u.ctx.fillStyle = faint(cssColor(color), 0.1);
      u.ctx.fillRect(left, end, width, y - end);
    }
    if (mode === "area") return;
    u.ctx.strokeStyle = faint(cssColor(color), 0.8);
    u.ctx.lineWidth = 1.2 * devicePixelRatio;
    u.ctx.setLineDash(mode.includes("dashed") || mode === "line" ? [6 * devicePixelRatio, 5 * devicePixelRatio] : []);
    u.ctx.beginPath();
    u.ctx.moveTo(left, y);
    u.ctx.lineTo(left + width, y);
    u.ctx.stroke();
  });
  u.ctx.restore();
}

