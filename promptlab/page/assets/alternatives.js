// Words that are selected in the prompt become alternatives: {a old|the oldest}; suggestions come from what was tried here.

import { $, el } from "./viewer/elements.js";
import { ask } from "./server.js";

const LONGEST = 200; // characters of a selection that are still a few words

let changed = () => {};
let offered = "", waiting = 0;

export function placeAlternatives(tell) {
  changed = tell;
  const box = $("prompt");
  // Nothing is hidden when the focus leaves: what stands below would jump away from under the pointer.
  document.addEventListener("selectionchange", () => { if (document.activeElement === box) consider(); });
  box.addEventListener("input", consider);
  box.addEventListener("keydown", (event) => {
    if (event.key !== "{" || box.selectionStart === box.selectionEnd || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    vary("");
  });
}

// What is selected: the words, or a group of alternatives as a whole.
function selected() {
  const box = $("prompt");
  let { selectionStart: from, selectionEnd: to } = box;
  while (from < to && /\s/.test(box.value[from])) from++;
  while (to > from && /\s/.test(box.value[to - 1])) to--;
  return { from, to, text: box.value.slice(from, to) };
}

const isGroup = (text) => /^\{[^{}]*\}$/.test(text);

function consider() {
  const { text } = selected();
  const fit = text && text.length <= LONGEST && (isGroup(text) || !/[{}|]/.test(text));
  offer(fit ? text : null);
}

function offer(text) {
  if (text === offered) return;
  offered = text;
  clearTimeout(waiting);
  $("alternatives").hidden = text === null;
  if (text === null) return;
  const words = isGroup(text) ? text.slice(1, -1).split("|")[0] : text;
  show(words, []);
  waiting = setTimeout(async () => {
    const found = await ask(`/api/words?text=${encodeURIComponent(words)}`).catch(() => ({ words: [] }));
    if (offered === text) show(words, found.words);
  }, 120);
}

function show(words, found) {
  const already = isGroup(offered) ? offered.slice(1, -1).split("|") : [offered];
  const some = found.filter((one) => !already.includes(one.text)).slice(0, 10);
  const button = (name, text, title) => el("button", { type: "button", title, onclick: () => vary(text) }, name);
  $("alternatives").replaceChildren(
    button("{ | }", "", "Alternatives for these words: type the other one"),
    ...some.map(({ text, tried }) => button(text, text, tried ? `tried ${tried === 1 ? "once" : `${tried} times`} here` : "a suggestion")),
    already[0] && !isGroup(offered) ? button("or nothing", null, "With these words, and without them") : "");
}

// Make a group of what is selected, or give the selected group one more; an empty `word` is left to be typed.
function vary(word) {
  const box = $("prompt"), { from, to, text } = selected();
  if (!text) return;
  const inner = isGroup(text) ? text.slice(1, -1) : text;
  const group = `{${inner}|${word ?? ""}}`;
  box.focus();
  box.setSelectionRange(from, to);
  if (!document.execCommand("insertText", false, group)) box.setRangeText(group, from, to, "end"); // the first can be undone
  if (word === "") box.setSelectionRange(from + group.length - 1, from + group.length - 1);
  else box.setSelectionRange(from, from + group.length);
  changed();
  consider();
}
