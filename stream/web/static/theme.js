// Dark or light: the system's wish, until the reader chooses; the choice is kept in this browser.

const KEY = "trainwarden.theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const listeners = [];

const stored = () => {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // storage may be switched off
  }
};

const wanted = () => stored() ?? (system.matches ? "dark" : "light");

function apply() {
  document.documentElement.dataset.theme = wanted();
  for (const listener of listeners) listener();
}

export function start() {
  system.addEventListener("change", apply);
  apply();
}

export function toggle() {
  const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  try {
    localStorage.setItem(KEY, next);
  } catch {
    document.documentElement.dataset.theme = next;
  }
  apply();
}

export const onChange = (listener) => listeners.push(listener);

export const color = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
