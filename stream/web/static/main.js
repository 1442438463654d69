// The page: which dashboard is open, what is chosen, and the refresh every two seconds.

import * as api from "./api.js";
import { byId, element } from "./dom.js";
import * as head from "./head.js";
import { Incidents } from "./incidents.js";
import * as keys from "./keys.js";
import { Panel } from "./panel.js";
import * as ranges from "./ranges.js";
import * as route from "./route.js";
import * as theme from "./theme.js";

const REFRESH_MS = 2000;

class Page {
  constructor() {
    this.route = route.current();
    this.board = null;
    this.panels = [];
    this.annotations = [];
    this.live = true;
    this.opening = 0;
    this.incidents = new Incidents(() => this.refresh());
    this.observer = new IntersectionObserver((entries) => this.seen(entries), { rootMargin: "120px" });
  }

  get hasRun() {
    return this.route.uid === route.RUN;
  }

  get from() {
    return this.route.from ?? (this.hasRun ? "run" : (this.board?.time?.from ?? "now-24h"));
  }

  get to() {
    return this.route.to ?? this.board?.time?.to ?? "now";
  }

  // Show what the address says. Cheap when only the range or a variable changed.
  async open() {
    const turn = ++this.opening;
    this.route = route.current();
    await this.tabs();
    head.showControls(!this.onIncidents);
    if (this.onIncidents) {
      this.leave();
      this.incidents.open(byId("grid"));
    } else if (this.board?.uid !== this.route.uid) {
      const board = await api.dashboard(this.route.uid);
      if (turn !== this.opening) return;
      this.lay(board);
    }
    await this.refresh();
  }

  get onIncidents() {
    return this.route.uid === route.INCIDENTS;
  }

  // Take the dashboard down.
  leave() {
    this.observer.disconnect();
    for (const panel of this.panels) panel.destroy();
    this.panels = [];
    this.annotations = [];
    this.board = null;
    document.title = "Incidents · Trainwarden";
    head.showBanner(null);
  }

  async tabs() {
    this.known ??= await api.dashboards();
    head.showTabs(this.known, this.route);
  }

  lay(board) {
    this.observer.disconnect();
    this.incidents.close();
    for (const panel of this.panels) panel.destroy();
    this.board = board;
    this.annotations = [];
    this.view = null; // the panels wait until this dashboard's variables are known
    document.title = `${board.title} · Trainwarden`;
    const drawn = board.panels.filter(({ type }) => type !== "row");
    drawn.sort((a, b) => a.gridPos.y - b.gridPos.y || a.gridPos.x - b.gridPos.x);
    this.panels = drawn.map((panel) => new Panel(board.uid, panel, this));
    byId("grid").replaceChildren(...this.panels.map(({ node }) => node));
    for (const panel of this.panels) this.observer.observe(panel.node);
    scrollTo(0, 0);
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
      if (this.onIncidents) {
        head.showWaiting((await this.incidents.load()).waiting.length);
        head.showBanner(null);
        return;
      }
      if (!(await this.choose())) return;
      const asked = this.panels.filter(({ visible }) => visible).map((panel) => panel.load(this.view));
      const [errors] = await Promise.all([Promise.all(asked), this.loadAnnotations()]);
      const down = errors.find((error) => error?.status === 0 || error?.status === 503);
      if (down) throw down;
      this.countWaiting();
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
    if (board?.uid !== this.route.uid) return false;
    const view = ranges.resolve(this.from === "run" ? "now-1h" : this.from, this.to, null);
    const variables = await api.variables(this.route.uid, { ...view, variables: this.route.variables });
    if (stale()) return false;
    const chosen = Object.fromEntries(variables.map(({ name, current }) => [name, current]));
    if (this.hasRun && !this.route.variables.run && chosen.run?.[0]) {
      this.route.variables = { run: chosen.run };
      route.go(this.route, { replace: true });
    }
    head.showVariables(variables, (name, values) => this.setVariable(name, values));
    const span = chosen.run?.[0] ? await api.span(chosen.run[0]) : null;
    if (stale()) return false;
    this.view = { ...ranges.resolve(this.from, this.to, span), variables: chosen };
    head.showRange(this.from, this.to, this.hasRun);
    this.welcome(this.hasRun && !chosen.run?.[0]);
    return true;
  }

  async loadAnnotations() {
    this.annotations = await api.annotations(this.route.uid, this.view);
    for (const panel of this.panels) panel.annotate();
  }

  welcome(wanted) {
    const shown = document.querySelector(".welcome");
    if (wanted && !shown) byId("grid").prepend(hint());
    if (!wanted) shown?.remove();
  }

  setVariable(name, values) {
    const variables = name === "run" ? { run: values } : { ...this.route.variables, [name]: values };
    const keep = name === "run" && ranges.isFixed(this.from, this.to) ? { from: null, to: null } : {};
    route.go({ ...this.route, ...keep, variables });
  }

  setRange(from, to) {
    this.wide = null;
    route.go({ ...this.route, from, to });
  }

  zoom(from, to) {
    this.wide ??= [this.route.from, this.route.to];
    route.go({ ...this.route, from: String(from), to: String(to) });
  }

  zoomOut() {
    if (!ranges.isFixed(this.from, this.to)) return;
    const [from, to] = this.wide ?? [null, null];
    this.wide = null;
    route.go({ ...this.route, from, to });
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
  keys.start([
    { key: "f", meaning: "fleet", run: () => route.go({ uid: route.FLEET, variables: {} }) },
    {
      key: "g",
      meaning: "choose a run",
      run: () => (page.hasRun ? head.openPicker("run") : route.go({ uid: route.RUN, variables: {} })),
    },
    { key: "i", meaning: "incidents", run: () => route.go({ uid: route.INCIDENTS, variables: {} }) },
    { key: "w", meaning: "whole run", run: () => page.hasRun && page.setRange("run", "now") },
    { key: "z", meaning: "zoom out", run: () => page.zoomOut() },
    { key: "p", meaning: "pause or go on", run: () => page.toggleLive() },
    { key: "r", meaning: "refresh now", run: () => page.refresh() },
    { key: "t", meaning: "dark or light", run: theme.toggle },
  ]);
  addEventListener("hashchange", () => guarded(() => page.open()));
  setInterval(
    () => page.live && !document.hidden && !page.round && guarded(() => page.refresh()),
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
