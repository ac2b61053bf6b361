// What is shown, put together; and the keys and buttons that change it.

function say(text) {
  $("said").textContent = text;
}

function show() {
  const table = arranged();
  showPages();
  if (state.view === "grid") showGrid(table);
  else showTable();
  $("order").parentElement.hidden = $("size").parentElement.hidden = state.view === "table";
  const count = state.view === "grid" ? table.shown.length : through().length;
  say(count === images.length ? `${count} pictures` : `${count} of ${images.length} pictures`);
}

function setView(view) {
  state.view = view;
  for (const one of ["grid", "table"]) $(`as-${one}`).setAttribute("aria-pressed", String(one === view));
  show();
}

function openAxes(open) {
  $("axes").hidden = !open;
  $("arrange").setAttribute("aria-expanded", String(open));
}

let back = null; // the cell that the viewer's picture stands in

Object.assign(gallery, {
  called, standing, small, originals, apart, pairAfter, step,
  facts: factsOf,
  marked: showMarked,
  shown: () => { back = [...focus]; }, // closing focuses the cell it was opened from; one may have gone on from there
  closed: () => { if (state.view === "grid" && back) moveTo(...back); },
});
Object.assign(booth, {
  fields,
  line: voteLine,
  keeping: "Your answers come out as a line to type; nothing is kept by this page.",
  kept: "These answers are in this page only. Type this line where the workspace is:",
  ended: "Copy the line below, or go back with Undo.",
});
placeViewer();
placeVote();

let typing = 0;
$("query").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => { state.query = $("query").value; show(); }, images.length > 200 ? 150 : 0);
});
$("order").addEventListener("change", () => { state.order = $("order").value; show(); });
$("size").addEventListener("input", () => {
  state.size = Number($("size").value);
  const grid = $("shown").querySelector(".grid");
  if (grid) css(grid, "cell", `${state.size}px`);
});
$("size").addEventListener("change", () => { for (const img of $("shown").querySelectorAll("img")) near.observe(img); });
$("arrange").addEventListener("click", () => openAxes($("axes").hidden));
$("arrange").hidden = axes.length === 0;
$("as-grid").addEventListener("click", () => setView("grid"));
$("as-table").addEventListener("click", () => setView("table"));
$("compare").addEventListener("click", () => openCompare(...viewing.marked));
$("voting").addEventListener("click", openVote);
$("voting").hidden = fields().length === 0;
$("theme").addEventListener("click", setTheme);
$("help").addEventListener("click", () => $("keys").showModal());
closedByClick($("keys"));

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
  if ($("vote").open ? voteKey(event) : $("viewer").open ? viewerKey(event) : gridKey(event) || pageKey(event)) event.preventDefault();
});

function closeValues(except = null) {
  for (const list of document.querySelectorAll(".values[open]")) if (list !== except) list.open = false;
}
document.addEventListener("click", (event) => closeValues(event.target.closest(".values")));

function pageKey(event) {
  const [turned] = withRole("pages"), typed = event.target.matches("input, select, textarea");
  if (event.key === "Escape") closeValues();
  if (typed && event.key === "Escape") event.target.blur();
  if (typed) return false;
  if (event.key === "?") $("keys").showModal();
  else if (event.key === "/") $("query").focus();
  else if (event.key.toLowerCase() === "v" && !$("voting").hidden) openVote();
  else if (event.key === "[") turnPage(turned, -1);
  else if (event.key === "]") turnPage(turned, 1);
  else if (event.key.toLowerCase() === "t") setView(state.view === "grid" ? "table" : "grid");
  else if (/^Arrow/.test(event.key) && event.target === document.body && state.view === "grid") moveTo(...focus);
  else return false;
  return true;
}

new ResizeObserver(() => css($("page"), "bar", `${$("bar").offsetHeight}px`)).observe($("bar"));

// In a frame the page may have been laid out before it had its width: then pictures were sized for another one.
let wide = $("page").clientWidth;
const again = () => { state.size = 0; show(); };
tight.addEventListener("change", again);
new ResizeObserver(() => {
  const was = wide;
  wide = $("page").clientWidth;
  if (was < 320 && wide >= 320) again();
}).observe($("page"));

arrangeAtFirst();
document.querySelector("header").append(...head());
showAxes();
openAxes(axes.length > 2 && innerWidth >= 1000 && innerHeight >= 800);
show();
