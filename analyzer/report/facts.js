// The head of the page, and how the analysis was made: all text, put in as text.

const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

function bytesText(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  let index = 0;
  while (bytes >= 1000 && index < units.length - 1) { bytes /= 1000; index++; }
  return `${index ? bytes.toFixed(1) : bytes} ${units[index]}`;
}

const secondsText = (ms) => (ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`);

function notesOf(data) {
  const { coverage } = data, notes = [];
  if (data.status !== "succeeded") {
    const of = coverage.total_ms === null ? "" : ` of ${clockText(coverage.total_ms, data.duration)}`;
    const why = coverage.first_error === null ? "" : `; the first error: ${coverage.first_error}`;
    notes.push(`Only a part of the video was seen: ${clockText(coverage.decoded_ms, data.duration)}${of} decoded, ${counted(coverage.errors, "error")}${why}`);
  }
  for (const part of coverage.parts.filter((each) => each.kind === "skipped")) {
    notes.push(`Skipped from ${clockText(part.start, data.duration)} to ${clockText(part.end, data.duration)}: ${part.words}`);
  }
  if (data.missing.length) notes.push(`${counted(data.missing.length, "thumbnail")} missing beside the result, ${data.missing[0]} first`);
  if (data.film?.refused) notes.push(data.film.refused);
  return notes;
}

function figuresOf(data) {
  const { video, coverage } = data;
  const rate = video.fps === null ? "" : `, ${video.fps} fps${video.variable_rate ? " on average" : ""}`;
  return {
    Video: `${video.width}×${video.height}${rate}, ${video.codec}`,
    Length: clockText(data.duration, data.duration),
    Tracks: counted(data.tracks.length, "track"),
    Detections: `${data.detections.toLocaleString("en")} in ${counted(coverage.sampled_frames, "frame")}`,
  };
}

function valueOf(value) {
  if (value === null) return "–";
  if (Array.isArray(value)) return value.length ? make("ul", {}, ...value.map((each) => make("li", {}, valueOf(each)))) : "–";
  if (typeof value === "object") {
    if ("sha256" in value) return make("span", { title: `sha256 ${value.sha256}` }, make("code", {}, String(value.path)), ` ${bytesText(value.bytes)}, sha256 `, make("code", {}, String(value.sha256).slice(0, 12)), "…");
    return table(value);
  }
  return String(value);
}

const nameOf = (key) => key.replaceAll("_", " ");

function table(entries) {
  return make("dl", {}, ...Object.entries(entries).flatMap(([key, value]) => [make("dt", {}, nameOf(key)), make("dd", {}, valueOf(value))]));
}

const inUnits = (entries) => Object.fromEntries(Object.entries(entries).map(([key, value]) => [
  key.replace(/_(ms|bytes)$/, ""),
  value === null ? null : key.endsWith("_ms") ? secondsText(value) : key.endsWith("_bytes") ? bytesText(value) : value,
]));

function makeFacts(data) {
  const { parts, ...coverage } = data.coverage;
  const by = (id) => document.getElementById(id);
  document.title = `${data.session_id} – analysis`;
  by("session").textContent = data.session_id;
  by("status").textContent = data.status;
  by("status").classList.add(data.status === "succeeded" ? "good" : "warn");
  for (const [name, text] of Object.entries(figuresOf(data))) by("figures").append(make("div", {}, make("dt", {}, name), make("dd", {}, text)));
  by("notes").append(...notesOf(data).map((text) => make("li", {}, text)));
  const film = data.film && !data.film.refused
    ? `a copy of ${data.film.width}×${data.film.height}, up to ${data.film.fps} fps, ${bytesText(data.film.bytes)}` : "none in this page";
  const folds = {
    Models: { "model set": data.models.digest, "read only": data.models.read_only, "absent folders": data.models.absent_folders, files: data.models.files },
    Backends: data.backend,
    "Time and memory": { attempt: data.attempt, ...inUnits(data.timings), ...inUnits(data.resources) },
    "Coverage and storage": { ...inUnits(coverage), film, ...inUnits({ size_bytes: data.video.size_bytes }), container: data.video.container, store: data.stored.store, rows: data.stored.rows },
  };
  for (const [title, entries] of Object.entries(folds)) by("facts").append(make("details", {}, make("summary", {}, title), table(entries)));
  by("facts").append(make("p", { className: "quiet" }, "Age and gender are estimates for statistics; do not decide about a person with them."));
}
