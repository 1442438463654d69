// Text panels: the little Markdown that our dashboards use, built as elements, never as HTML.

import { element } from "../dom.js";
import { filled } from "../fields.js";
import { fromLink } from "../route.js";

const INLINE = /\*\*(.+?)\*\*|`([^`]+)`|\[([^\]]+)\]\(([^)\s]+)\)|\*([^*\s][^*]*)\*/g;

const LISTS = { ul: /^\s*[-*]\s+/, ol: /^\s*\d+\.\s+/ };

function inline(text) {
  const parts = [];
  let position = 0;
  for (const match of text.matchAll(INLINE)) {
    parts.push(text.slice(position, match.index), piece(match));
    position = match.index + match[0].length;
  }
  return [...parts, text.slice(position)].filter((part) => part !== "");
}

function piece([whole, bold, code, label, url, italic]) {
  if (bold) return element("b", {}, bold);
  if (code) return element("code", {}, code);
  if (italic) return element("em", {}, italic);
  const href = fromLink(url);
  return href ? element("a", { href }, label) : whole;
}

function block(text) {
  const lines = text.split("\n");
  const heading = /^(#{1,4})\s+(.*)$/.exec(lines[0]);
  if (heading) {
    const rest = lines.slice(1).join("\n").trim();
    return [element(`h${heading[1].length + 1}`, {}, ...inline(heading[2])), ...(rest ? block(rest) : [])];
  }
  for (const [list, mark] of Object.entries(LISTS)) {
    if (!lines.every((line) => mark.test(line))) continue;
    return [element(list, {}, ...lines.map((line) => element("li", {}, ...inline(line.replace(mark, "")))))];
  }
  return [element("p", {}, ...inline(lines.join(" ")))];
}

export class Text {
  static needsNoData = true;

  constructor(body, panel) {
    this.content = panel.options?.content ?? "";
    this.node = element("div", { class: "scroll prose" });
    body.append(this.node);
  }

  isEmpty() {
    return false;
  }

  update(_, view) {
    const text = filled(this.content, view.variables);
    if (text === this.shown) return;
    this.shown = text;
    this.node.replaceChildren(...text.trim().split(/\n\s*\n/).flatMap(block));
  }
}
