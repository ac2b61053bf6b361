// What the page knows of runs and pictures. Objects stay the same when news of them comes, so that whoever holds one sees it.

import { ask } from "./server.js";

export const runs = new Map(); // by id

export function keepRun(told) {
  const run = runs.get(told.id) ?? { at: new Map(), wordings: new Map() };
  const { images = [], ...facts } = told;
  Object.assign(run, facts);
  for (const variant of run.variants) run.wordings.set(variant.index, variant);
  run.variants = [...run.wordings.values()]; // of many, those that stand beside the pictures told are told
  runs.set(run.id, run);
  for (const image of images) keepImage(run, image);
  return run;
}

export function keepImage(run, told) {
  const image = run.at.get(told.position) ?? {};
  run.at.set(told.position, Object.assign(image, told, {
    of: run,
    ref: `${run.id}/${told.position}`,
    wording: run.wordings.get(told.variant) ?? { prompt: "" },
    contender: `${run.id}/${told.variant}`,
  }));
  return image;
}

export const imageAt = (ref) => {
  const [run, position] = ref.split("/").map(Number);
  return runs.get(run)?.at.get(position);
};

// A run, asked for where it is not known yet.
export async function runOf(id) {
  return runs.get(id) ?? keepRun(await ask(`/api/runs/${id}`));
}

const asked = new Map();

// The rest of a run's pictures, from a position on; asked for once at a time.
export function askRest(run, from) {
  const key = `${run.id}/${Math.floor(from / 500)}`;
  if (!asked.has(key)) asked.set(key, ask(`/api/runs/${run.id}?from=${Math.floor(from / 500) * 500}`).then(keepRun).finally(() => asked.delete(key)));
  return asked.get(key);
}

// The picture that one was varied from: the very picture, or the one with its seed in the run that its run came from.
export async function before(image) {
  const from = image.parent ?? image.of.parent;
  if (!from) return null;
  const run = await runOf(from.run);
  const exact = from.position !== null && from.position !== undefined ? run.at.get(from.position) : null;
  if (exact?.seed === image.seed) return exact;
  const ofSeed = [...run.at.values()].filter((one) => one.seed === image.seed && one.status === "MADE");
  const label = image.wording.prompt;
  return ofSeed.find((one) => one.wording.prompt === label) ?? ofSeed.find((one) => one.variant === (exact?.variant ?? image.variant)) ?? ofSeed[0] ?? exact;
}

// Runs that are shown as one: those of a sweep.
export const keyOf = (run) => run.sweep ? `sweep-${run.sweep.id}` : `run-${run.id}`;

export const showSeeds = (seeds) => {
  const parts = [];
  for (const seed of seeds) {
    const last = parts.at(-1);
    if (last && last[1] + 1 === seed) last[1] = seed;
    else parts.push([seed, seed]);
  }
  return parts.map(([from, to]) => from === to ? `${from}` : to === from + 1 ? `${from},${to}` : `${from}-${to}`).join(",");
};
