// Pictures of any program, dropped on the page or chosen: imported, and ready to be varied; what could not be taken over is said.

import { $ } from "./viewer/elements.js";
import { fillBox, focusPrompt } from "./composer.js";
import { notify } from "./notices.js";
import { runs } from "./runs.js";
import { act } from "./server.js";
import { show } from "./tree.js";

let news = async () => {}; // shows runs that are new, by their ids

async function importFile(file) {
  if (!file) return;
  try {
    const told = await act("/api/import", file, { headers: { "X-Filename": encodeURIComponent(file.name) } });
    await news([told.run]);
    const image = runs.get(told.run)?.at.get(told.position);
    fillBox(told.request, image);
    show(runs.get(told.run), told.position, { focus: false });
    const lost = told.losses.map(({ name, value, why }) => `${name}${value === null || value === undefined || value === "" ? "" : ` ${value}`}: ${why}`);
    notify(`${file.name}: ${told.new ? "imported" : "was there already"}, as ${told.run}/${told.position}${told.program ? `, from ${told.program}` : ""}.`, false, { lines: lost, title: "Not taken over" });
    focusPrompt();
  } catch (error) {
    notify(error.message, true);
  }
}

const hasFile = (event) => event.dataTransfer?.types.includes("Files");

export function placeImport(tell) {
  news = tell;
  let over = 0;
  addEventListener("dragenter", (event) => { if (hasFile(event)) { over++; $("drop").hidden = false; event.preventDefault(); } });
  addEventListener("dragover", (event) => { if (hasFile(event)) event.preventDefault(); });
  addEventListener("dragleave", (event) => { if (hasFile(event) && --over <= 0) { over = 0; $("drop").hidden = true; } });
  addEventListener("drop", async (event) => {
    over = 0;
    $("drop").hidden = true;
    if (!hasFile(event)) return;
    event.preventDefault();
    for (const file of [...event.dataTransfer.files]) await importFile(file); // the box has the last one
  });
  $("import").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => { importFile($("file").files[0]); $("file").value = ""; });
}
