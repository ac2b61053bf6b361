// What tells two pictures of the report apart: their values on every axis, each of which can be chosen anew.

const ALSO = { steps: ["num_inference_steps"], guidance: ["guidance_scale"], size: ["width", "height"] }; // an axis's field → diffusers' names

function apart(a, b) {
  const chosen = axes.map((axis, at) => el("tr", { class: a.at[at] === b.at[at] ? "" : "differs" },
    el("th", { scope: "row" }, axis.name), ...[0, 1].map((which) => el("td", {}, choice([a, b], which, at)))));
  return [...chosen, ...rowsOf(a, b)];
}

// Another value on one axis for one of the two.
function choice(pair, which, at) {
  const name = `${which ? "B" : "A"}: ${axes[at].name}`;
  const options = axes[at].values.map((value, place) =>
    el("option", { value: String(place), selected: place === pair[which].at[at] }, value || "(empty)"));
  const select = el("select", { "aria-label": name, onchange: () => {
    const places = pair[which].at.with(at, Number(select.value));
    openCompare(...pair.with(which, byPlace.get(places.join()) ?? { at: places, nowhere: true }));
    focusIn($("facts"), `[aria-label="${CSS.escape(name)}"]`);
  } }, ...options);
  return select;
}

function rowsOf(a, b) {
  if (a.nowhere || b.nowhere) return [];
  const onAxis = (name) => axes.some((axis) => axis.fields?.some((field) => field === name || ALSO[field]?.includes(name)));
  const taken = [a, b].map((image) => pace(image) === null ? "" : seconds(pace(image)));
  const rows = [["picture", a.ref, b.ref]];
  if (!axes.some((axis) => axis.kind === "seed")) rows.push(["seed", a.seed, b.seed]);
  if (taken.some(Boolean)) rows.push(["seconds", ...taken]);
  rows.push(...unlike(a.of.setting, b.of.setting).filter(([name]) => !onAxis(name)));
  return rows.map((row) => differing(...row));
}

// Both at the next seed; where there is none, along the first axis on which they agree.
function pairAfter(a, b, by) {
  const shared = axes.flatMap((_, at) => a.at[at] === b.at[at] ? [at] : []);
  const at = shared.find((one) => axes[one].kind === "seed") ?? shared[0];
  if (at === undefined) return null;
  const count = axes[at].values.length;
  for (let moved = 1; moved < count; moved++) {
    const place = (a.at[at] + by * moved + count * moved) % count;
    const pair = [a, b].map((image) => byPlace.get(image.at.with(at, place).join()));
    if (pair.every((image) => image?.whole)) return pair;
  }
  return null;
}
