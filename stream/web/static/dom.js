// Small helpers to build elements; text is always set as text, never as HTML.

// Characters that would act instead of being read: terminal escapes, and marks that turn the direction of text.
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
const TURNING = /[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g;

const picture = (character) => {
  const code = character.charCodeAt(0);
  return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? "\u2421" : escaped(character);
};
const escaped = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

// The text as it can be shown: nothing in it acts.
export const plain = (text) => String(text).replace(CONTROL, picture).replace(TURNING, escaped);

export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (name === "title" || name === "aria-label") value != null && node.setAttribute(name, plain(value));
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null).map(shown));
  return node;
}

const shown = (child) => (child instanceof Node ? child : plain(child));

// A name of somebody else's choice: its direction is its own affair.
export const named = (text, attributes = {}) => element("bdi", attributes, text);

export const byId = (id) => document.getElementById(id);
