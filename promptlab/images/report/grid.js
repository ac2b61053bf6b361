// The grid: rows and columns of pictures, walked with the arrow keys. Pictures come in when they come near.

let cells = []; // elements by row, then column
let focus = [0, 0];
const tight = matchMedia("(max-width: 700px)"); // as the style sheet asks: two measures would not always agree
const varied = words.some((one) => one.before);

const near = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    const image = images[target.dataset.place];
    if (state.view === "grid" && state.size > thumbWidth * 1.2 || !small(image)) fill(target, image);
    else target.src = small(image);
  }
}, { root: $("page"), rootMargin: "900px" });

function showGrid(table) {
  const { rowAxes, columnAxes, rows, columns, flow } = table;
  cells = [];
  focus = [0, 0];
  const across = columns.length || 1;
  const room = $("page").clientWidth, narrow = tight.matches;
  const label = flow || !rowAxes.length ? 0 : rowAxes.some((at) => axes[at].words) ? 220 : 160;
  if (!state.size) {
    const fits = (room - 48 - (narrow ? 0 : label)) / (flow ? Math.min(across, 8) : across) - 10;
    if (narrow && flow) state.size = Math.floor((room - 38) / 2);
    const high = (innerHeight - 260) / Math.min(2.6, flow ? Math.ceil(across / 8) : rows.length || 1) - 44;
    state.size ||= Math.round(Math.min(across > 12 || table.shown.length > 150 ? 200 : 320, Math.max(narrow ? 132 : 104, Math.min(fits, Math.max(high, 180)))));
    $("size").value = state.size;
  }
  const ratio = images.find((image) => image.width);
  const counts = { "aria-rowcount": String(rows.length), "aria-colcount": String(across) };
  const paced = data.kind === "sweep" || state.order !== "asked"; // speed is a question here, and not only on a closer look
  const grid = el("div", { class: `grid${flow ? " flow" : ""}${paced ? " paced" : ""}`, role: "grid", "aria-label": data.name, ...counts });
  css(grid, "cell", `${state.size}px`);
  css(grid, "label", `${label}px`);
  css(grid, "across", across);
  css(grid, "ratio", ratio ? `${ratio.width} / ${ratio.height}` : "1");
  if (flow) {
    const row = el("div", { class: "row", role: "row" });
    cells = [columns.map((column, at) => cellOf(column.images[0], 0, at, labelOf(columnAxes, column, columns[0])))];
    row.append(...cells[0]);
    grid.append(row);
  } else {
    const heads = columns.map((column) =>
      el("div", { class: "head", role: "columnheader" }, ...labelOf(columnAxes, column, columns[0]), paceOf(column.images)));
    const corner = label ? el("div", { class: "corner" }) : null;
    if (columnAxes.length) grid.append(el("div", { class: "row heads", role: "row" }, corner, ...heads));
    rows.forEach((row, down) => {
      cells.push(columns.map((column, right) => cellOf(table.cells.get(`${row.key}|${column.key}`), down, right, null)));
      const words = el("div", {}, ...labelOf(rowAxes, row, rows[0]), paceOf(row.images));
      const head = rowAxes.length ? el("div", { class: "side", role: "rowheader" }, words) : null;
      grid.append(el("div", { class: "row", role: "row", "aria-rowindex": String(down + 1) }, head, ...cells.at(-1)));
    });
  }
  $("page").style.scrollPaddingLeft = `${(narrow ? 0 : label) + 24}px`;
  $("shown").replaceChildren(table.shown.length ? grid : el("p", { class: "nothing" }, "No picture is left by these filters."));
  if (cells[0]?.[0]) cells[0][0].tabIndex = 0;
  for (const img of grid.querySelectorAll("img")) near.observe(img);
}

function paceOf(some) {
  const taken = some.length > 1 ? meanPace(some) : null;
  return taken === null ? null : el("small", { class: "pace" }, `${seconds(taken)} an image`);
}

// What a line of the table is called: its value on each axis, words with what changed: since the parent where they were
// varied from one, else since the first line.
function labelOf(some, line, first) {
  return some.flatMap((at, nth) => {
    const axis = axes[at], place = line.places[nth];
    if (!axis.words) return [el("b", { class: "value", title: axis.name }, axisValue(axis, place) || "(empty)")];
    const mine = words[axis.words[place]], base = words[axis.words[first.places[nth]]];
    const parts = [el("b", { class: "value" }, axis.values[place] || "(empty)")];
    const since = (kind, before, after, not = "") => parts.push(el("span", { class: kind, title: after }, not,
      ...(before === after ? [after] : diffNodes(before, after, true))));
    const before = varied ? mine.before ?? mine.prompt : base.prompt;
    if (mine.prompt !== axis.values[place] || before !== mine.prompt) since("prompt", before, mine.prompt);
    if (mine.negative && (mine === base || mine.negative !== base.negative))
      since("prompt not", mine === base ? mine.negative : base.negative ?? "", mine.negative, "not ");
    return parts;
  });
}

function cellOf(image, row, column, label) {
  const missing = standing(image), flag = image?.flag, taken = image && pace(image) !== null ? seconds(pace(image)) : "";
  const frame = missing
    ? el("div", { class: "frame empty" }, el("span", {}, missing))
    : el("div", { class: "frame" }, el("img", { alt: "", decoding: "async", draggable: "false", "data-place": String(image.place) }));
  const title = label ? el("div", { class: "title" }, ...label) : null;
  const note = image ? el("div", { class: "note" }, ...noteOf(image)) : null;
  const name = [image ? called(image) : "", missing || taken, flag].filter(Boolean).join(", ");
  const cell = el("div", { class: "cell", role: "gridcell", tabindex: "-1", "aria-label": name }, frame, title, note);
  if (image) cell.dataset.image = image.place;
  if (image?.flag) cell.classList.add("flagged");
  if (image && viewing.marked.includes(image)) cell.classList.add("marked");
  cell.addEventListener("click", () => { moveTo(row, column); if (image) openViewer(image); });
  cell.addEventListener("focus", () => { focus = [row, column]; });
  return cell;
}

function* noteOf(image) {
  if (pace(image) !== null) yield el("span", { class: "taken" }, seconds(pace(image)));
  else if (image.linked) yield el("span", { title: "The same recipe was made before" }, `linked ${image.linked}`);
  if (image.flag) yield el("span", { class: "flag" }, image.flag);
}

function moveTo(row, column) {
  const target = cells[row]?.[column];
  if (!target) return false;
  const was = cells[focus[0]]?.[focus[1]];
  if (was) was.tabIndex = -1;
  target.tabIndex = 0;
  focus = [row, column];
  target.focus({ preventScroll: true });
  target.scrollIntoView({ block: "nearest", inline: "nearest" });
  return true;
}

// The cell next to the focused one: in a flow, lines are what the width makes of them.
function neighbour(key) {
  const [row, column] = focus;
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[key];
  if (!step) return key === "Home" ? [row, 0] : [row, cells[row].length - 1];
  if (cells.length > 1 || !step[0]) return [row + step[0], column + step[1]];
  const top = cells[0][0]?.offsetTop, line = cells[0].findIndex((cell) => cell.offsetTop !== top);
  return [0, column + step[0] * (line < 0 ? cells[0].length : line)];
}

function gridKey(event) {
  if (!event.target.classList.contains("cell")) return false;
  const image = images[event.target.dataset.image];
  if (/^(Arrow(Left|Right|Up|Down)|Home|End)$/.test(event.key)) moveTo(...neighbour(event.key));
  else if ((event.key === "Enter" || event.key === " ") && image) openViewer(image);
  else if (event.key.toLowerCase() === "c" && image) mark(image);
  else return false;
  return true;
}

// The picture next to the one that the viewer shows: its neighbour in the grid, or the next one of the table.
function step(key) {
  if (state.view === "table") {
    const list = through(), at = list.indexOf(viewing.image) + (key === "ArrowLeft" || key === "ArrowUp" ? -1 : 1);
    if (list[at]) openViewer(list[at]);
    return;
  }
  const was = [...focus];
  for (;;) {
    const [row, column] = neighbour(key), cell = cells[row]?.[column];
    if (!cell) { moveTo(...was); return; }
    moveTo(row, column);
    if (cell.dataset.image) { openViewer(images[cell.dataset.image]); return; }
  }
}

function showMarked(told) {
  for (const cell of document.querySelectorAll(".cell")) cell.classList.toggle("marked", viewing.marked.includes(images[cell.dataset.image]));
  $("compare").disabled = viewing.marked.length < 2;
  $("compare").textContent = viewing.marked.length ? `Compare ${viewing.marked.length}/2` : "Compare";
  if (told) say(told);
}
