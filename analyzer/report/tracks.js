// The tracks of the document: where each is at a moment, and how it is told. Times are milliseconds.

const PARTS = 10000; // boxes are whole numbers of this many parts of the picture
const GAP_STEPS = 2.5; // over a longer gap nobody knows where a human was

function readPath(raw) {
  const times = new Int32Array(raw.t.length);
  let at = 0;
  for (let index = 0; index < times.length; index++) times[index] = at += raw.t[index];
  return { times, person: Int16Array.from(raw.p), face: Int16Array.from(raw.f) };
}

function readTrack(raw) {
  return { ...raw, ...readPath(raw), hue: Math.round((raw.n * 137.508) % 360) };
}

// How many of the ascending `times` are at most `ms`.
function countUpTo(times, ms) {
  let low = 0, high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= ms) low = middle + 1; else high = middle;
  }
  return low;
}

function boxOf(path, kind, index) {
  const [left, top, width, height] = path[kind].subarray(4 * index, 4 * index + 4);
  return { left: left / PARTS, top: top / PARTS, width: width / PARTS, height: height / PARTS };
}

function blend(from, to, share) {
  const mix = (side) => from[side] + (to[side] - from[side]) * share;
  return { left: mix("left"), top: mix("top"), width: mix("width"), height: mix("height") };
}

// The box of `kind` at `ms`: between two sightings on the straight line, next to a lone one for half a step; else null.
function boxAt(path, kind, ms, step) {
  const { times } = path, has = (index) => path[kind][4 * index] >= 0;
  const next = countUpTo(times, ms), reach = step * GAP_STEPS;
  let before = next - 1, after = next;
  while (before >= 0 && !has(before) && ms - times[before] <= reach) before--;
  while (after < times.length && !has(after) && times[after] - ms <= reach) after++;
  const since = before >= 0 && has(before) ? ms - times[before] : Infinity;
  const until = after < times.length && has(after) ? times[after] - ms : Infinity;
  if (since + until <= reach) return blend(boxOf(path, kind, before), boxOf(path, kind, after), since / (since + until));
  if (since <= step / 2) return boxOf(path, kind, before);
  if (until <= step / 2) return boxOf(path, kind, after);
  return null;
}

function clockText(ms, duration) {
  const tenths = Math.floor(ms / 100), two = (number) => String(number).padStart(2, "0");
  const seconds = Math.floor(tenths / 10), hours = Math.floor(seconds / 3600), minutes = Math.floor(seconds / 60) % 60;
  const rest = `${two(seconds % 60)}.${tenths % 10}`;
  return duration >= 3600000 ? `${hours}:${two(minutes)}:${rest}` : `${minutes + 60 * hours}:${rest}`;
}

// Only what is certain is called 100 %.
const percent = (share) => (share < 1 && share >= 0.995 ? ">99 %" : `${Math.round(100 * share)} %`);

function attributesText(track) {
  const words = [];
  if (track.gender) words.push(`${track.gender.value} ${percent(track.gender.confidence)}`);
  if (track.age) words.push(`${Math.round(track.age.mean)} years (${Math.round(track.age.low)}\u2060–\u2060${Math.round(track.age.high)})`);
  return words.join(", ");
}

// What stands at a box: short, because boxes are small.
function labelText(track) {
  const words = [String(track.n)];
  if (track.gender) words.push(track.gender.value === "female" ? "F" : track.gender.value === "male" ? "M" : track.gender.value);
  if (track.age) words.push(String(Math.round(track.age.mean)));
  return words.join(" · ");
}
