// Frames of several queries of one panel as one.

export function merged(frames) {
  if (frames.length === 1) return frames[0];
  if (frames.every(({ series }) => series)) return lines(frames);
  return { ...frames[0], fields: frames.flatMap(({ fields }) => fields ?? []), cut: frames.flatMap(({ cut }) => cut ?? []) };
}

function lines(frames) {
  const times = [...new Set(frames.flatMap((frame) => frame.times))].sort((a, b) => a - b);
  const at = new Map(times.map((time, index) => [time, index]));
  const series = frames.flatMap((frame) =>
    frame.series.map(({ name, values }) => {
      const spread = new Array(times.length).fill(null);
      values.forEach((value, index) => (spread[at.get(frame.times[index])] = value));
      return { name, values: spread };
    }),
  );
  return { interval: Math.max(...frames.map(({ interval }) => interval)), times, series };
}
