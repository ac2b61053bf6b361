// The data of the page, read once, and where the pictures are.

const read = (id) => JSON.parse($(id).textContent);
const data = read("data"), thumbs = read("thumbnails"), addresses = read("addresses");
const { axes, words, runs, images } = data;

// Inside MLflow the page is a blob in a frame that may not navigate; its address still names the server.
const framed = location.protocol === "blob:";
const server = serverOf(framed ? location.pathname : location.href);

// PromptLab's page serves a report below a key of its own, with the files beside it; what is MLflow's is not there.
const inPage = server !== null && /^\/reports\/[0-9a-f]{64}\//.test(location.pathname);

function serverOf(address) {
  try {
    const { protocol, origin } = new URL(address);
    return protocol.startsWith("http") ? origin : null;
  } catch {
    return null;
  }
}

images.forEach((image, place) => {
  const wording = words[image.words];
  image.place = place;
  image.of = runs[image.run];
  image.wording = wording;
  image.ref = `${image.of.id}/${image.position}`;
  image.text = `${wording.prompt}\n${wording.negative ?? ""}\n${wording.label ?? ""}`.toLowerCase();
  image.whole = image.status === "MADE" && data.standing[place] === "whole";
});
const byPlace = new Map(images.map((image) => [image.at.join(), image]));
const thumbWidth = images.length > 100 ? 256 : 384;

const small = (image) => thumbs[image.place] && `data:image/webp;base64,${thumbs[image.place]}`;
const mlflowRun = (image) => addresses.runs?.[`${image.of.id}/${image.variant}`];

// Where the original may be, best guess first.
function originals(image) {
  if (!image.whole) return [];
  const found = [];
  const id = mlflowRun(image);
  if (server && id && !inPage) found.push(`${server}/get-artifact?run_uuid=${id}&path=${encodeURIComponent(image.artifact)}`);
  if (!framed) found.push(image.file);
  return found;
}

function mlflowPage(image) {
  const id = mlflowRun(image);
  return server && id && !inPage ? `${server}/#/experiments/${addresses.experiment}/runs/${id}?workflowType=machine_learning` : null;
}

// The picture on PromptLab's page: the one that serves this file, or the usual one of this machine, which tells by the
// run's own id whether it is of the same workspace. Inside MLflow and on servers of others there is none.
function livePage(image) {
  const where = inPage ? server : location.protocol === "file:" ? "http://127.0.0.1:7870" : null;
  return where && `${where}/run/${image.ref}?uid=${image.of.uid.slice(0, 12)}`;
}

const pace = (image) => image.whole && !image.linked && image.seconds !== undefined ? image.seconds : null;
const mean = (values) => values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
const meanPace = (some) => mean(some.map(pace).filter((value) => value !== null));

function standing(image) {
  if (!image || image.nowhere) return "nothing here";
  if (image.status === "OWED") return "not made yet";
  if (image.status === "FAILED") return image.error ? `failed: ${image.error}` : "failed";
  return image.whole ? "" : `file is ${data.standing[image.place] ?? "not recorded"}`;
}

// One line that names a picture: its values on all axes.
const called = (image) => [image.ref, ...axes.map((axis, at) => axisValue(axis, image.at[at]))].join(" · ");
const BARE = /^(-?[\d.]+(e-?\d+)?|no\. \d+|\d+x\d+|true|false|none|default|)$/; // says little without its axis's name
const axisValue = (axis, place) => !axis.words && BARE.test(axis.values[place]) ? `${axis.name} ${axis.values[place]}` : axis.values[place];
