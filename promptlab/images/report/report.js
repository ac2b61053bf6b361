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

function setTheme() {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
}

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
$("compare").addEventListener("click", () => openCompare(...state.marked));
$("voting").addEventListener("click", openVote);
$("voting").hidden = fields().length === 0;
for (const [id, which] of [["vote-a", "A"], ["vote-b", "B"], ["vote-tie", "="], ["vote-skip", "skip"]]) $(id).addEventListener("click", () => answer(which));
$("vote-undo").addEventListener("click", undoAnswer);
$("vote-copy").addEventListener("click", copyVotes);
$("vote-close").addEventListener("click", () => $("vote").close());
$("theme").addEventListener("click", setTheme);
$("help").addEventListener("click", () => $("keys").showModal());
$("close").addEventListener("click", () => $("viewer").close());
$("mark").addEventListener("click", () => mark(viewing.image));
$("before").addEventListener("click", () => step("ArrowLeft"));
$("after").addEventListener("click", () => step("ArrowRight"));
$("zoom-in").addEventListener("click", () => zoom(1));
$("zoom-out").addEventListener("click", () => zoom(-1));
$("zoom-fit").addEventListener("click", () => zoom(0));
$("stage").addEventListener("dblclick", () => { viewing.zoom = viewing.zoom ? 0 : 2; sizeStage(); });
$("viewer").addEventListener("close", () => {
  stopFlicker();
  viewing.image = viewing.pair = null;
  if (state.view === "grid" && viewing.back) moveTo(...viewing.back);
});
for (const dialog of [$("viewer"), $("keys"), $("vote")]) dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

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

let width = innerWidth;
addEventListener("resize", () => {
  if ($("viewer").open) sizeStage();
  if ((width < 700) !== (innerWidth < 700)) { state.size = 0; show(); }
  width = innerWidth;
});

arrangeAtFirst();
showAxes();
openAxes(axes.length > 2 && innerWidth >= 1000 && innerHeight >= 800);
show();
