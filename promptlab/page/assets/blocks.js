// Blocks of pictures that are elements only near the window, so that thousands cost what a screenful costs.

import { css, el } from "./viewer/elements.js";
import { cellOf, drop } from "./cells.js";
import { askRest } from "./runs.js";

const GAP = 10, NOTE = 24, AT_ONCE = 48;

const near = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) if (isIntersecting) fillBlock(target); else emptyBlock(target);
}, { rootMargin: "900px 0px" });

const places = new WeakMap(); // block → what it shows

// Lay the pictures of one line (a run and a wording, or those of several) out in `room` pixels; returns the blocks.
export function blocksOf(entries, size, room) {
  const across = Math.max(1, Math.floor((room + GAP) / (size + GAP)));
  const lines = Math.max(1, Math.floor(AT_ONCE / across)), blocks = [];
  for (let from = 0; from < entries.length; from += across * lines) {
    const some = entries.slice(from, from + across * lines), high = Math.ceil(some.length / across);
    const ratio = ratioOf(some);
    const cell = Math.round(size / ratio) + NOTE + some[0].captionHeight;
    const block = css(css(el("div", { class: "block" }), "ratio", ratio), "high", `${high * cell + (high - 1) * GAP}px`);
    places.set(block, some);
    near.observe(block);
    blocks.push(block);
  }
  return blocks;
}

// Width by height: of a picture that is there, else of the size that was asked for.
function ratioOf(some) {
  const made = some.map(({ run, position }) => run.at.get(position)).find((image) => image?.width);
  const [width, height] = made ? [made.width, made.height] : (some[0].run.settings.size ?? "").split("x").map(Number);
  return width && height ? width / height : 1;
}

export function fillBlock(block) {
  if (block.firstChild) return;
  const some = places.get(block);
  const missing = some.find(({ run, position }) => !run.at.has(position));
  if (missing) askRest(missing.run, missing.position).then(() => { if (block.isConnected && !block.firstChild) fillBlock(block); }, () => {});
  else block.replaceChildren(...some.map(cellOf));
}

function emptyBlock(block) {
  if (block.contains(document.activeElement)) return;
  drop(block.children);
  block.replaceChildren();
}

export function forget(blocks) {
  for (const block of blocks) {
    near.unobserve(block);
    drop(block.children);
  }
}

// The block in which a picture stands, filled.
export function blockWith(within, ref) {
  for (const block of within.querySelectorAll(".block")) {
    if (places.get(block).some(({ run, position }) => `${run.id}/${position}` === ref)) { fillBlock(block); return block; }
  }
  return null;
}
