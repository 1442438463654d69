// Colour scales of heatmaps: a few stops each, blended between; on dark and on light the low end stays visible.

const SCALES = {
  viridis: ["#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#fde725"],
  magma: ["#0b0924", "#51127c", "#b73779", "#fc8961", "#fcfdbf"],
  turbo: ["#30123b", "#4675ed", "#1bcfd4", "#61fc6c", "#d1e834", "#fe9b2d", "#d93806", "#7a0403"],
  oranges: ["#3b2314", "#7f3b08", "#d9730d", "#fdae61", "#fee6c8"],
  blues: ["#10243f", "#1b4a80", "#2f7fc1", "#7ab8e6", "#d6ecfb"],
  greens: ["#0f2a1a", "#1a5a33", "#2f9e5b", "#7fd19b", "#dcf5e4"],
  reds: ["#2f1216", "#7a1f26", "#c9353c", "#f28b82", "#fde3df"],
  greenred: ["#1a9850", "#91cf60", "#d9c94f", "#fc8d59", "#d73027"],
};

const NAMES = { rdylgn: "greenred", ylorrd: "oranges", purples: "magma", spectral: "turbo", greys: "blues", inferno: "magma", plasma: "magma" };

const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

// 256 colours, lowest value first, of a scheme by Grafana's name.
export function palette(scheme = "viridis", reverse = false) {
  const name = scheme.toLowerCase();
  const stops = (SCALES[NAMES[name] ?? name] ?? SCALES.viridis).map(channels);
  // Grafana's red-yellow-green begins with the red.
  if (reverse !== (name === "rdylgn")) stops.reverse();
  return Array.from({ length: 256 }, (_, index) => {
    const place = (index / 255) * (stops.length - 1);
    const low = Math.min(Math.floor(place), stops.length - 2);
    return stops[low].map((value, channel) => Math.round(value + (stops[low + 1][channel] - value) * (place - low)));
  });
}

export const css = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;
