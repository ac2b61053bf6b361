// Says what happened, in a corner, for a while; what failed stays until it is closed.

import { $, el, titled } from "./viewer/elements.js";

const READ = 7000; // milliseconds that a sentence stays

// Returns the notice, which can be removed.
export function notify(text, wrong = false, { stays = wrong, lines = [], title = "" } = {}) {
  const close = el("button", { class: "icon", "aria-label": "Close", onclick: () => node.remove() }, "×");
  const more = lines.length ? titled(title, el("ul", {}, ...lines.map((line) => el("li", {}, line)))) : null;
  const node = el("div", { class: wrong ? "notice wrong" : "notice", role: wrong ? "alert" : null }, el("div", {}, el("p", {}, text), more), close);
  for (const same of $("notices").children) if (same.textContent === node.textContent) same.remove();
  $("notices").append(node);
  if (!stays && !lines.length) setTimeout(() => node.remove(), READ);
  return node;
}
