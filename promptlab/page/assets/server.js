// Speaks with the server: asks, acts, and hears what happens.

let csrf = "";

export class Refusal extends Error {
  constructor(status, { message, field } = {}) {
    super(message ?? `the server answered ${status}`);
    this.status = status;
    this.field = field ?? null;
  }
}

async function send(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, { message: "the server cannot be reached; it is tried again" });
  }
  if (answer.status === 401) throw new Refusal(401, { message: "open the address that `promptlab ui` prints" });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refusal(answer.status, told.error);
  return told;
}

export const ask = (path, options = {}) => send(path, options);

// The server's state; what it says of the key that acts need is kept here.
export async function askState() {
  const state = await ask("/api/state");
  csrf = state.csrf;
  return state;
}

// Change something: `body` goes as JSON, or as it is where it is a file.
export async function act(path, body = {}, { method = "POST", headers = {}, signal } = {}) {
  const raw = body instanceof Blob;
  const options = () => ({
    method, signal,
    headers: { "X-PromptLab": csrf, "Content-Type": raw ? "application/octet-stream" : "application/json", ...headers },
    body: raw ? body : JSON.stringify(body),
  });
  try {
    return await send(path, options());
  } catch (error) {
    if (error.status !== 403) throw error;
    await askState(); // another server has taken the place of the one that this page was opened from
    return send(path, options());
  }
}

const KINDS = ["queue", "progress", "planned", "run", "image", "ended", "changed", "rated", "mlflow", "reset"];

// Hear events for as long as the page is looked at: a browser keeps few connections to one server, and a page in each of
// many tabs would take them all. What was told meanwhile is told afterwards, or that it is not known any more (`reset`).
// `connected` is told true after each connection, false when it is lost.
export function listen(hear, connected) {
  let wait = 300, source = null, waiting = 0, last = "";
  const open = () => {
    clearTimeout(waiting);
    source?.close();
    source = new EventSource(last ? `/api/events?after=${encodeURIComponent(last)}` : "/api/events");
    source.onopen = () => { wait = 300; connected(true); };
    source.onerror = () => {
      source.close();
      connected(false);
      waiting = setTimeout(open, wait);
      wait = Math.min(wait * 2, 4000);
    };
    for (const kind of KINDS) source.addEventListener(kind, (event) => { last = event.lastEventId || last; hear(kind, JSON.parse(event.data)); });
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) return open();
    clearTimeout(waiting);
    source.close();
  });
  open();
}
