// A file can keep no votes, and may not even remember inside MLflow's frame, so the answers come out as one line to copy:
// promptlab compare RUN --votes "…" keeps them.

const seedAxis = axes.findIndex((axis) => axis.kind === "seed");
for (const image of images) image.contender = image.at.filter((_, at) => at !== seedAxis).join();

const fields = () => fieldsOf(through().filter((image) => image.whole)); // what can be compared, among what the filters let through

// The line to type. Pictures of a run's own report go by their positions alone.
function voteLine(all) {
  const called = (image) => data.kind === "run" ? `${image.position}` : image.ref;
  const votes = all.map(({ winner, loser, tie }) => `${called(winner)}${tie ? "=" : ">"}${called(loser)}`).join(" ");
  const concerned = [...new Map(all.flatMap(({ winner, loser }) => [winner, loser]).map((image) => [image.of.id, image.of.uid]))];
  const uids = concerned.sort(([a], [b]) => a - b).map(([, uid]) => uid).join();
  return `promptlab compare ${data.kind === "run" ? "" : "sweep:"}${data.id} --votes "${votes} #${sumOf(`${uids} ${votes}`)}"`;
}
