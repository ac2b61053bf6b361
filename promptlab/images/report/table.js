// The table: a line for each run and wording, sorted by any column; for "which of two hundred is the fastest".

const sorting = { column: null, up: true };

const scorersOf = (lines) => [...new Set(lines.flat().flatMap((image) => Object.keys(image.scores ?? {})))].sort();

function meanScore(some, name) {
  const values = some.map((image) => image.scores?.[name]).filter((value) => value !== undefined);
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
}

const scoreText = (some, name) => meanScore(some, name)?.toPrecision(4) ?? "";

function showTable() {
  const groups = new Map();
  for (const image of through()) {
    const key = `${image.run}/${image.variant}`;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(image);
  }
  const lines = [...groups.values()];
  const shown = axes.map((axis, at) => [axis, at]).filter(([axis]) => axis.kind !== "seed");
  const columns = [
    { name: "run", of: ([image]) => image.of.id, cell: ([image]) => runLink(image) },
    { name: "pictures", cell: pictures },
    ...shown.map(([axis, at]) => ({ name: axis.name, of: ([image]) => image.at[at], cell: ([image]) => axis.values[image.at[at]] || "(empty)" })),
    { name: "seconds an image", number: true, of: meanPace, cell: paceText },
    ...scorersOf(lines).map((name) => ({ name, number: true, of: (some) => meanScore(some, name), cell: (some) => scoreText(some, name) })),
    { name: "made", number: true, of: (some) => wholeOf(some).length, cell: (some) => `${wholeOf(some).length} of ${some.length}` },
    { name: "status", of: ([image]) => image.of.status, cell: ([image]) => image.of.status.toLowerCase() },
  ];
  const by = columns.find((column) => column.name === sorting.column);
  if (by) lines.sort((one, other) => {
    const [a, b] = [by.of(one), by.of(other)];
    if (a === null || b === null) return (a === null) - (b === null);
    return (sorting.up ? 1 : -1) * (typeof a === "string" ? a.localeCompare(b) : a - b);
  });
  const heads = columns.map((column) => {
    const sorted = column === by ? (sorting.up ? "ascending" : "descending") : null;
    const sort = () => sortBy(column.name);
    const button = () => el("button", { onclick: sort, "data-column": column.name }, column.name, sorted ? (sorting.up ? " ↑" : " ↓") : "");
    return el("th", { scope: "col", "aria-sort": sorted, class: column.number ? "number" : null }, column.of ? button() : column.name);
  });
  const body = lines.map((some) => el("tr", {}, ...columns.map((column) => el("td", { class: column.number ? "number" : null }, column.cell(some)))));
  const table = el("table", {}, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...body));
  $("shown").replaceChildren(lines.length ? el("div", { class: "wide" }, table) : el("p", { class: "nothing" }, "No picture is left by these filters."));
  for (const img of table.querySelectorAll("img")) near.observe(img);
}

function sortBy(name) {
  sorting.up = sorting.column === name ? !sorting.up : true;
  sorting.column = name;
  showTable();
  focusIn($("shown"), `[data-column="${CSS.escape(name)}"]`);
}

const wholeOf = (some) => some.filter((image) => image.whole);
const paceText = (some) => meanPace(some) !== null ? seconds(meanPace(some)) : some.some((image) => image.linked) ? "linked" : "";

function pictures(some) {
  const shown = some.slice(0, 6), more = some.length - shown.length;
  const one = (image) => image.whole
    ? el("button", { class: "picture", "aria-label": called(image), onclick: () => openViewer(image) },
      el("img", { alt: "", decoding: "async", "data-place": String(image.place) }))
    : el("span", { class: "picture empty", title: standing(image) });
  return el("span", { class: "strip" }, ...shown.map(one), more > 0 ? el("small", {}, `+${more}`) : null);
}

// A run's number; inside MLflow's frame, which opens no pages, its address is copied instead.
function runLink(image, text = String(image.of.id)) {
  const address = mlflowPage(image);
  if (!address) return text;
  const copied = (event) => {
    if (!framed) return;
    event.preventDefault();
    copy(address, "Address copied. This frame may not open pages: paste it in a new tab.");
  };
  const title = framed ? "Copy the address of its page" : "Its page in MLflow";
  return el("a", { href: address, target: "_blank", rel: "noopener", title, onclick: copied }, text);
}
