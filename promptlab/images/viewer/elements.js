// Elements, and the few words that every page says alike.

export const $ = (id) => document.getElementById(id);

// An element: attributes by name, `on…` as listeners, text never as markup.
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made && key !== "role" && typeof value !== "string") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// Sets a custom property of the style sheet, by its name without the dashes; returns the node.
export const css = (node, name, value) => {
  node.style.setProperty(`--${name}`, value);
  return node;
};

export const focusIn = (inside, selector) => inside.querySelector(selector)?.focus();

export const seconds = (value) => value < 0.1 ? `${Math.round(value * 1000)} ms` : value < 10 ? `${value.toFixed(2)} s` : `${Math.round(value)} s`;

// Whether what is selected, which is `text`, is on the clipboard now.
export async function copied(text) {
  try { if (document.execCommand("copy")) return true; } catch { /* refused */ }
  try { await navigator.clipboard.writeText(text); return true; } catch { return false; }
}

export const titled = (title, ...inner) => el("section", {}, el("h3", {}, title), ...inner);

export function listed(title, pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  if (!known.length) return null;
  return titled(title, el("dl", {}, ...known.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value instanceof Node ? value : String(value))])));
}
