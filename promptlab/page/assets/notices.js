// Says what happened, in a corner, for a while; what failed stays until it is closed.

import { $, el, titled } from "./viewer/elements.js";

const READ = 7000; // milliseconds that a sentence stays

// A window that is open covers all else, so that what is said then is said in it.
function place() {
  const host = document.querySelector("dialog[open]") ?? document.body;
  if ($("notices").parentNode !== host) host.append($("notices"));
}

document.addEventListener("close", place, true);

// Returns the notice, which can be removed.
export function notify(text, wrong = false, { stays = wrong, lines = [], title = "" } = {}) {
  const close = el("button", { class: "icon", "aria-label": "Close", onclick: () => node.remove() }, "×");
  const more = lines.length ? titled(title, el("ul", {}, ...lines.map((line) => el("li", {}, line)))) : null;
  const node = el("div", { class: wrong ? "notice wrong" : "notice", role: wrong ? "alert" : null }, el("div", {}, el("p", {}, text), more), close);
  for (const same of [...$("notices").children]) if (same.textContent === node.textContent) same.remove();
  place();
  $("notices").append(node);
  if (!stays && !lines.length) setTimeout(() => node.remove(), READ);
  return node;
}
