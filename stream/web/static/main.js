// The page: which dashboard is open, what is chosen, and the refresh every two seconds.

import * as actions from "./actions.js";
import * as api from "./api.js";
import * as display from "./display.js";
import { byId, element } from "./dom.js";
import * as head from "./head.js";
import { Incidents } from "./incidents.js";
import { Panel } from "./panel.js";
import * as ranges from "./ranges.js";
import * as route from "./route.js";
import * as sections from "./sections.js";
import * as theme from "./theme.js";
import { Windows } from "./windows.js";

const REFRESH_MS = 2000;
const PATIENCE_MS = 5000; // a round does not wait longer for its slowest panel
const CURVES = ["timeseries", "trend", "xychart"];

class Page {
  constructor() {
    this.route = route.current();
    this.board = null;
    this.panels = [];
    this.annotations = [];
    this.live = true;
    this.opening = 0;
    this.windows = new Windows(this);
    this.incidents = new Incidents(this);
    this.observer = new IntersectionObserver((entries) => this.seen(entries), { rootMargin: "120px" });
  }

  // A dashboard of one run: its range may be the run's.
  get hasRun() {
    const run = this.board?.templating?.list?.find(({ name }) => name === "run");
    return Boolean(run) && !run.includeAll;
  }

  get from() {
    return this.route.from ?? (this.hasRun ? "run" : (this.board?.time?.from ?? "now-24h"));
  }

  get to() {
    return this.route.to ?? (this.hasRun ? "now" : (this.board?.time?.to ?? "now"));
  }

  get display() {
    return display.parse(this.route.settings);
  }

  get onIncidents() {
    return this.route.uid === route.INCIDENTS;
  }

  // Show what the address says. Cheap when only the range or a variable changed.
  async open() {
    const turn = ++this.opening;
    const before = JSON.stringify(this.display);
    const { search, level } = this.route.settings;
    this.route = route.current();
    this.known ??= head.pages(await api.dashboards());
    head.showTabs(this.known, this.route);
    const { uid, settings } = this.route;
    if (this.board?.uid !== uid || this.alone !== settings.viewPanel) {
      const page = this.known.find((one) => one.uid === uid);
      const board = page?.bare ? { ...page, panels: [] } : await api.dashboard(uid);
      if (turn !== this.opening) return;
      this.lay(board);
    } else if (before !== JSON.stringify(this.display)) {
      for (const { drawing } of this.panels) drawing?.redisplay?.();
    }
    if (this.view && (search !== this.route.settings.search || level !== this.route.settings.level)) {
      for (const panel of this.panels) if (panel.drawing?.asked && panel.visible) panel.load(this.view);
    }
    const curves = this.board.panels.some((panel) => [panel, ...(panel.panels ?? [])].some(({ type }) => CURVES.includes(type)));
    display.show(this.display, curves);
    await this.refresh();
  }

  lay(board) {
    const moved = this.board?.uid !== board.uid;
    this.observer.disconnect();
    this.incidents.close();
    for (const panel of this.panels) panel.destroy();
    this.board = board;
    this.alone = this.route.settings.viewPanel;
    if (moved) this.annotations = [];
    if (moved) this.view = null; // the panels wait until this dashboard's variables are known
    document.title = `${board.title} · Trainwarden`;
    this.panels = [];
    const nodes = sections.lay(board, this.route.variables, (panel) => this.add(board, panel), this.alone);
    const incidents = this.onIncidents && !this.alone ? [this.incidents.open()] : [];
    byId("grid").replaceChildren(...incidents, ...nodes);
    for (const panel of this.panels) this.observer.observe(panel.node);
    if (moved) scrollTo(0, 0);
  }

  add(board, panel) {
    const added = new Panel(board.uid, panel, this);
    this.panels.push(added);
    return added.node;
  }

  seen(entries) {
    for (const { target, isIntersecting } of entries) {
      const panel = this.panels.find(({ node }) => node === target);
      if (!panel) continue;
      const first = isIntersecting && !panel.visible && this.view;
      panel.visible = isIntersecting;
      if (first) panel.load(this.view);
    }
  }

  // One round: variables, span, then the panels in sight. A round that is under way is awaited, then repeated.
  async refresh() {
    this.again = true;
    this.round ??= (async () => {
      try {
        while (this.again) {
          this.again = false;
          await this.once();
        }
      } finally {
        this.round = null;
      }
    })();
    return this.round;
  }

  async once() {
    const before = { ...api.stats };
    try {
      if (this.onIncidents) head.showWaiting((await this.incidents.load()).waiting.length);
      if (!(await this.choose())) return;
      const { paced } = this;
      this.paced = false;
      const due = this.panels.filter((panel) => panel.visible && !(paced && panel.rests(this.view)));
      const asked = due.map((panel) => panel.load(this.view));
      const [errors] = await Promise.all([Promise.race([Promise.all(asked), patience()]), this.loadAnnotations()]);
      const down = errors.find((error) => error?.status === 0 || error?.status === 503);
      if (down) throw down;
      if (!this.onIncidents) this.countWaiting();
      head.showBanner(null);
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      head.showBanner(
        `${error.message}\nWhat is shown may be old. Trying again every ${REFRESH_MS / 1000} s.`,
      );
    }
    this.cost = { requests: api.stats.requests - before.requests, bytes: api.stats.bytes - before.bytes };
    head.showLive(this.live, `last refresh: ${this.cost.requests} requests, ${this.cost.bytes} bytes`);
  }

  // Beside the round, which must not wait for it; one at a time.
  countWaiting() {
    this.counting ??= api
      .waiting()
      .then(head.showWaiting, (error) => error instanceof api.ApiError || Promise.reject(error))
      .finally(() => (this.counting = null));
  }

  // False when another page was opened meanwhile: its own round follows, with its own variables.
  async choose() {
    const { opening, board } = this;
    const stale = () => opening !== this.opening || board !== this.board;
    if (!board || board.uid !== this.route.uid) return false;
    head.showControls(board.panels.length > 0);
    if (!board.panels.length) return true;
    const view = ranges.resolve(this.from === "run" ? "now-1h" : this.from, this.to, null);
    const variables = await api.variables(this.route.uid, { ...view, variables: this.route.variables });
    if (stale()) return false;
    const chosen = Object.fromEntries(variables.map(({ name, current }) => [name, current]));
    if (this.hasRun && !this.route.variables.run && chosen.run?.[0]) {
      this.route.variables = { ...this.route.variables, run: chosen.run };
      route.go(this.route, { replace: true });
      head.showTabs(this.known, this.route);
    }
    const typed = [this.route.settings.steps ?? ""];
    const shown = variables.map((one) => (one.name === "steps" ? { ...one, current: typed } : one));
    head.showVariables(shown, (name, values) => this.setVariable(name, values));
    const span = this.hasRun && chosen.run?.[0] ? await api.span(chosen.run[0]) : null;
    if (stale()) return false;
    const steps = ranges.steps(this.route.settings.steps);
    delete chosen.steps; // of the charts by step alone, which ask for a little more
    const [fixed, key] = [ranges.isFixed(this.from, this.to), [this.from, this.to, this.route.settings.steps].join(" ")];
    this.view = { ...ranges.resolve(this.from, this.to, span), fixed, key, steps, variables: chosen };
    this.windows.settle();
    head.showRange(this.from, this.to, this.hasRun);
    this.welcome(this.hasRun && !chosen.run?.[0]);
    return true;
  }

  async loadAnnotations() {
    if (!this.board?.panels.length) return;
    this.annotations = await api.annotations(this.route.uid, this.view);
    for (const panel of this.panels) panel.annotate();
  }

  welcome(wanted) {
    const shown = document.querySelector(".welcome");
    if (wanted && !shown) byId("grid").prepend(hint());
    if (!wanted) shown?.remove();
  }

  // Change what the address says beside range and variables.
  set(changes, how = {}) {
    const settings = { ...this.route.settings, ...changes };
    route.go({ ...this.route, settings }, how);
    if (how.replace) guarded(() => this.open());
  }

  setVariable(name, values) {
    if (name === "steps") return this.set({ steps: values[0] || null });
    const kept = name === "run" ? pick(this.route.variables, ["compare"]) : this.route.variables;
    const fixed = name === "run" && ranges.isFixed(this.from, this.to) ? { from: null, to: null } : {};
    const settings = name === "run" ? { ...this.route.settings, steps: null } : this.route.settings;
    return route.go({ ...this.route, ...fixed, settings, variables: { ...kept, [name]: values } });
  }

  setRange(from, to) {
    this.windows.forget();
    route.go({ ...this.route, from, to });
  }

  zoom(axis, from, to) {
    this.windows.go(axis, from, to);
  }

  zoomOut(axis = "time") {
    this.windows.back(axis);
  }

  preview(axis, from, to) {
    this.windows.preview(axis, from, to);
  }

  toggleLive() {
    this.live = !this.live;
    head.showLive(this.live, "");
    if (this.live) this.refresh();
  }

  restyle() {
    for (const panel of this.panels) panel.restyle();
  }
}

const patience = () => new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, []));

const pick = (values, names) => Object.fromEntries(Object.entries(values).filter(([name]) => names.includes(name)));

function hint() {
  return element(
    "section",
    { class: "welcome" },
    element("h1", {}, "No runs yet"),
    element("p", {}, "Start the demo, or put these lines into your trainer; the run appears here by itself."),
    element(
      "pre",
      {},
      'trainwarden demo\n\nimport emitter\nemitter.init(run="my-run")\nemitter.step(step, loss=loss, grad_norm=norm)',
    ),
  );
}

function start() {
  const page = new Page();
  theme.start();
  theme.onChange(() => page.restyle());
  byId("theme").addEventListener("click", theme.toggle);
  head.start(page);
  display.start(page);
  actions.start(page);
  addEventListener("hashchange", () => guarded(() => page.open()));
  setInterval(
    () => page.live && !document.hidden && !page.round && guarded(() => page.refresh((page.paced = true))),
    REFRESH_MS,
  );
  guarded(() => page.open());
}

async function guarded(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof api.ApiError)) throw error;
    head.showBanner(error.message);
  }
}

start();
