// How the panels of a dashboard lie: rows that fold, and a grid of 24 columns in each.

import { element } from "./dom.js";
import { filled } from "./fields.js";

const byPlace = (a, b) => a.gridPos.y - b.gridPos.y || a.gridPos.x - b.gridPos.x;

// [{ row, panels }]; `row` is null before the first one.
function sections(board) {
  const found = [{ row: null, panels: [] }];
  for (const panel of [...board.panels].sort(byPlace)) {
    if (panel.type === "row") found.push({ row: panel, panels: [...(panel.panels ?? [])].sort(byPlace) });
    else found.at(-1).panels.push(panel);
  }
  return found.filter(({ row, panels }) => row || panels.length);
}

const folded = new Map();

// Nodes of a dashboard; `make(panel)` gives the node of one panel, `alone` is the id of the only one wanted.
export function lay(board, variables, make, alone) {
  if (alone) {
    const panel = [...board.panels, ...board.panels.flatMap((one) => one.panels ?? [])].find(({ id, type }) => String(id) === alone && type !== "row");
    if (panel) return [element("section", { class: "section alone" }, make(panel))];
  }
  return sections(board).map(({ row, panels }) => section(board.uid, row, panels, variables, make));
}

function section(uid, row, panels, variables, make) {
  const top = Math.min(...panels.map(({ gridPos }) => gridPos.y));
  const cells = element("div", { class: "cells" }, ...panels.map((panel) => placed(make(panel), panel.gridPos, top)));
  if (!row) return element("section", { class: "section" }, cells);
  const key = `${uid} ${row.id ?? row.title}`;
  if (!folded.has(key)) folded.set(key, Boolean(row.collapsed));
  const title = filled(row.title, variables);
  const head = element("button", { type: "button", class: "row-head", "aria-expanded": "true" }, element("span", { class: "turn" }, "▾"), title);
  const show = () => {
    cells.hidden = folded.get(key);
    head.setAttribute("aria-expanded", String(!cells.hidden));
  };
  head.addEventListener("click", () => {
    folded.set(key, !folded.get(key));
    show();
  });
  show();
  return element("section", { class: "section", "data-row": row.title }, head, cells);
}

function placed(node, { x, y, w, h }, top) {
  node.style.gridColumn = `${x + 1} / span ${w}`;
  node.style.gridRow = `${y - top + 1} / span ${h}`;
  return node;
}
