// The window that pictures are looked at in: its head, the stage, and what is recorded; its buttons and keys.

import { $, el } from "./elements.js";
import { compareKey, mark } from "./compare.js";
import { gallery, showPixels, sizeStage, stopFlicker, viewing, zoom } from "./stage.js";

// Put the window into the page; `more` are the page's own buttons.
export function placeViewer(...more) {
  const button = (id, sign, attributes) => el("button", { id, ...attributes }, sign);
  const switched = { class: "switch", role: "group" };
  document.body.append(el("dialog", { id: "viewer", "aria-label": "Picture" },
    el("div", { class: "head" },
      el("strong", { id: "viewer-title" }),
      el("div", { ...switched, id: "modes", "aria-label": "Comparison", hidden: true }),
      el("span", { class: "gap" }),
      el("div", { ...switched, "aria-label": "Zoom" },
        button("zoom-out", "−", { "aria-label": "Smaller", onclick: () => zoom(-1) }),
        button("zoom-fit", "fit", { onclick: () => zoom(0) }),
        button("zoom-in", "+", { "aria-label": "Larger", onclick: () => zoom(1) })),
      button("sharp", "Pixels", { "aria-pressed": "false", title: "Pixels as squares instead of smooth (P)", onclick: showPixels }),
      button("mark", "Mark", { "aria-pressed": "false", title: "Mark for comparison (C)", onclick: () => mark(viewing.image) }),
      ...more,
      button("before", "‹", { class: "icon", "aria-label": "Picture before", onclick: () => gallery.step("ArrowLeft") }),
      button("after", "›", { class: "icon", "aria-label": "Next picture", onclick: () => gallery.step("ArrowRight") }),
      button("close", "×", { class: "icon", "aria-label": "Close", onclick: () => $("viewer").close() })),
    el("div", { class: "body" },
      el("div", { class: "stage", id: "stage", tabindex: "0", "aria-label": "Picture; scroll to move", role: "group" }),
      el("aside", { id: "facts", "aria-label": "Everything recorded" }))));
  $("stage").addEventListener("dblclick", () => { viewing.zoom = viewing.zoom ? 0 : 2; sizeStage(); });
  $("viewer").addEventListener("close", () => {
    stopFlicker();
    viewing.image = viewing.pair = null;
    gallery.closed();
  });
  closedByClick($("viewer"));
  addEventListener("resize", () => { if ($("viewer").open) sizeStage(); });
}

// A click beside a dialog closes it.
export function closedByClick(dialog) {
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}

export function viewerKey(event) {
  if (event.target.matches("input:not([type=range]), select, textarea")) return false;
  const { key } = event;
  if (viewing.pair && compareKey(event)) return true;
  if (event.target.type === "range") return false;
  if (!viewing.pair && /^Arrow/.test(key) && !(viewing.zoom && event.target === $("stage"))) gallery.step(key);
  else if (key === "+" || key === "=") zoom(1);
  else if (key === "-") zoom(-1);
  else if (key === "0") zoom(0);
  else if (key.toLowerCase() === "p" && !$("sharp").hidden) showPixels();
  else if (key.toLowerCase() === "c" && !viewing.pair) mark(viewing.image);
  else return false;
  return true;
}

// Light where it is dark, and the other way round.
export function setTheme() {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
}
