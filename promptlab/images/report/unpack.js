// Takes the page out of the text that it is packed in: style, elements and script, each behind a NUL.

(async () => {
  const page = document.getElementById("page");
  try {
    const packed = Uint8Array.from(atob(document.getElementById("packed").textContent), (sign) => sign.charCodeAt(0));
    const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    const [style, inside, keys, script] = (await new Response(unpacked).text()).split("\0");
    document.head.append(Object.assign(document.createElement("style"), { textContent: style }));
    page.insertAdjacentHTML("beforeend", inside);
    page.insertAdjacentHTML("afterend", keys);
    document.body.append(Object.assign(document.createElement("script"), { textContent: script }));
  } catch {
    document.getElementById("old").hidden = false;
  }
  page.classList.remove("unread");
})();
