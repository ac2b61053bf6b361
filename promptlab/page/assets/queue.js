// What is under way and what waits, with what it has come to; each can be stopped.

import { $, el } from "./viewer/elements.js";
import { act } from "./server.js";

const VERBS = {
  run: "Pictures", rerun: "Pictures", run_sweep: "Sweep", verify: "Verifying", resume: "Resuming", probe: "Probing",
  plan: "Planning", effect: "Effect of a setting", "maintenance.sync": "Telling MLflow",
};
const items = new Map();
let notify = () => {};

export function placeQueue(tell) {
  notify = tell;
}

export function showQueue(jobs) {
  const there = new Set(jobs.map((one) => one.job));
  for (const [job, item] of items) if (!there.has(job)) { item.node.remove(); items.delete(job); }
  for (const one of jobs) showJob(one, false);
  jobs.forEach((one, at) => {
    const { node } = items.get(one.job), there = $("queue").children[at];
    if (there !== node) $("queue").insertBefore(node, there ?? null);
  });
  $("queue").hidden = jobs.length === 0;
}

export function showJob(one, shown = true) {
  const item = items.get(one.job) ?? make(one);
  const { images, made, step, steps } = one;
  const whole = images ? (made + (steps ? step / steps : 0)) / images : null;
  item.title.textContent = `${VERBS[one.verb] ?? one.verb}${one.runs?.length ? ` · run ${one.runs.join(", ")}` : ""}${one.mine === false ? " · another folder" : ""}`;
  item.said.textContent = one.stopping ? "stopping after the pictures under way" : one.state === "waiting" ? `waits, ${one.place} before it`
    : [images ? `${made} of ${images}` : null, steps ? `step ${step} of ${steps}` : null, one.doing].filter(Boolean).join(" · ");
  if (whole === null) item.bar.removeAttribute("value");
  else item.bar.value = Math.min(1, whole);
  item.bar.hidden = one.state === "waiting";
  item.stop.textContent = one.stopping ? "Stop at once" : "Stop";
  if (shown && !item.node.isConnected) $("queue").append(item.node);
  if (shown) $("queue").hidden = false;
}

function make({ job }) {
  const title = el("strong", {}), said = el("span", { class: "quiet" });
  const bar = el("progress", { max: 1, "aria-label": "Progress" });
  const stop = el("button", { type: "button", onclick: () => act(`/api/jobs/${job}`, {}, { method: "DELETE" }).catch((error) => notify(error.message, true)) }, "Stop");
  const node = el("div", { class: "job" }, el("div", { class: "told" }, title, said), bar, stop);
  items.set(job, { node, title, said, bar, stop });
  return items.get(job);
}
