// Words: what changed from one text to another, and whether a filter lets a text through.

import { el } from "./elements.js";

const LONGEST = 400000; // pairs of words that a comparison may look at

// As promptlab.expand.word_diff splits them: words and commas with the white space before each; scripts without blanks by character.
const ALONE = "\\u0e00-\\u0eff\\u3040-\\u30ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff";
const MARKS = ",;，、。";
const WORD = new RegExp(`\\s*(?:[${MARKS}]|[${ALONE}]|[^\\s${MARKS}${ALONE}]+)|\\s+`, "gu");

export const splitWords = (text) => text.match(WORD) ?? [];

// How `before` becomes `after`: [kind, text] with kind kept, removed or added; kept and added make `after` exactly.
export function wordDiff(before, after) {
  const old = splitWords(before), now = splitWords(after);
  const oldKeys = old.map((word) => word.trim()), nowKeys = now.map((word) => word.trim());
  let head = 0;
  while (head < old.length && head < now.length && oldKeys[head] === nowKeys[head]) head++;
  let tail = 0;
  while (tail < old.length - head && tail < now.length - head && oldKeys.at(-1 - tail) === nowKeys.at(-1 - tail)) tail++;
  const pieces = [];
  const add = (kind, text) => {
    if (!text) return;
    if (pieces.length && pieces.at(-1)[0] === kind) pieces.at(-1)[1] += text;
    else pieces.push([kind, text]);
  };
  const rows = old.length - head - tail, columns = now.length - head - tail;
  for (let at = 0; at < head; at++) add("kept", now[at]);
  if (rows * columns > LONGEST) {
    add("removed", old.slice(head, head + rows).join(""));
    add("added", now.slice(head, head + columns).join(""));
  } else {
    // Longest common subsequence, from behind.
    const width = columns + 1, longest = new Uint16Array((rows + 1) * width);
    for (let row = rows - 1; row >= 0; row--)
      for (let column = columns - 1; column >= 0; column--)
        longest[row * width + column] = oldKeys[head + row] === nowKeys[head + column]
          ? longest[(row + 1) * width + column + 1] + 1
          : Math.max(longest[(row + 1) * width + column], longest[row * width + column + 1]);
    let row = 0, column = 0, lost = "", found = "";
    const change = () => { add("removed", lost); add("added", found); lost = found = ""; };
    while (row < rows || column < columns) {
      if (row < rows && column < columns && oldKeys[head + row] === nowKeys[head + column]) {
        change();
        add("kept", now[head + column]);
        row++; column++;
      } else if (column >= columns || (row < rows && longest[(row + 1) * width + column] >= longest[row * width + column + 1]))
        lost += old[head + row++];
      else found += now[head + column++];
    }
    change();
  }
  for (let at = now.length - tail; at < now.length; at++) add("kept", now[at]);
  return pieces;
}

// The elements of a comparison: <ins> and <del> around what changed; for a label, texts that share little stay as they are.
export function diffNodes(before, after, label = false) {
  const pieces = wordDiff(before, after);
  if (label && pieces.reduce((sum, [kind, text]) => sum + (kind === "kept" ? text.length : 0), 0) < after.length / 4) return [after];
  return markNodes(pieces);
}

export function markNodes(pieces) {
  return pieces.map(([kind, text]) => {
    if (kind === "kept") return document.createTextNode(text);
    const blank = text.match(/^\s*/)[0];
    const shown = el(kind === "added" ? "ins" : "del", {}, text.slice(blank.length));
    const both = document.createDocumentFragment();
    both.append(blank || (kind === "added" ? "" : " "), shown);
    return both;
  });
}

// A filter: every word must be in the text, and no word behind a minus; upper and lower case are one.
export function matcher(query) {
  const asked = query.toLowerCase().match(/-?"[^"]+"|\S+/g) ?? [];
  const words = asked.map((word) => word.replaceAll('"', "")).filter((word) => word && word !== "-");
  const not = words.filter((word) => word.startsWith("-")).map((word) => word.slice(1));
  const all = words.filter((word) => !word.startsWith("-"));
  return (text) => all.every((word) => text.includes(word)) && !not.some((word) => text.includes(word));
}
