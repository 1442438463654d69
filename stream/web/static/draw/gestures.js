// Hand on a chart: drag zooms, shift and drag or a sideways wheel pans, ctrl and wheel zooms, double click goes back.

const WHEEL_ZOOM = 0.0025;

// Options for uPlot: a drag with shift is ours.
export const bind = {
  mousedown: (_, __, handler) => (event) => {
    if (event.button === 0 && !event.shiftKey) handler(event);
  },
  dblclick: () => () => null,
};

// `moved(from, to)` is called while the hand moves, with the range that is to be shown.
export function attach(u, { moved, back }) {
  const { over } = u;
  const range = () => [u.scales.x.min, u.scales.x.max];
  const shift = (pixels, [low, high] = range()) => {
    const by = (pixels / over.clientWidth) * (high - low);
    moved(low + by, high + by);
  };
  over.addEventListener("dblclick", back);
  over.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.shiftKey) return;
    event.preventDefault();
    over.setPointerCapture(event.pointerId);
    const [start, ends] = [event.clientX, range()];
    const move = (next) => shift(start - next.clientX, ends);
    over.classList.add("panning");
    over.addEventListener("pointermove", move);
    over.addEventListener(
      "lostpointercapture",
      () => {
        over.removeEventListener("pointermove", move);
        over.classList.remove("panning");
      },
      { once: true },
    );
  });
  over.addEventListener(
    "wheel",
    (event) => {
      const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
      if (event.ctrlKey || event.metaKey) zoom(event);
      else if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) shift(sideways);
      else return;
      event.preventDefault();
    },
    { passive: false },
  );

  function zoom(event) {
    const [low, high] = range();
    const at = u.posToVal(event.clientX - over.getBoundingClientRect().left, "x");
    const factor = Math.exp(event.deltaY * WHEEL_ZOOM);
    moved(at - (at - low) * factor, at + (high - at) * factor);
  }
}
