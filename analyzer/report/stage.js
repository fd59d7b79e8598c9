// The picture: boxes over the film, or over what is left of it where there is none.

const DIM = 0.35; // opacity of the others while one track is chosen

function makeStage(canvas, data, tracks, images) {
  const pen = canvas.getContext("2d");
  const loose = readPath(data.loose);
  let width = 0, height = 0;

  function fit() {
    const scale = window.devicePixelRatio || 1;
    width = canvas.clientWidth;
    height = canvas.clientHeight;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    pen.setTransform(canvas.width / Math.max(1, width), 0, 0, canvas.height / Math.max(1, height), 0, 0);
  }

  // A picture that does not decode is none.
  function drawable(source) {
    const image = images.get(source);
    return image?.complete && image.naturalWidth ? image : null;
  }

  const inPixels = (box) => [box.left * width, box.top * height, box.width * width, box.height * height];

  function frame(box, colour, thickness, dashes) {
    const [x, y, w, h] = inPixels(box);
    pen.lineWidth = thickness;
    pen.strokeStyle = colour;
    pen.setLineDash(dashes);
    pen.beginPath();
    pen.roundRect(x, y, w, h, Math.min(4, w / 4, h / 4));
    pen.stroke();
    pen.setLineDash([]);
  }

  function chip(text, box, colour) {
    const size = width < 480 ? 11 : 13, [x, y] = inPixels(box);
    pen.font = `600 ${size}px system-ui, sans-serif`;
    const w = pen.measureText(text).width + 10, h = size + 7;
    const left = Math.min(Math.max(0, x - 1), width - w), top = y - h - 2 >= 0 ? y - h - 2 : y + 3;
    pen.fillStyle = colour;
    pen.beginPath();
    pen.roundRect(left, top, w, h, 4);
    pen.fill();
    pen.fillStyle = "#0b0d10";
    pen.textBaseline = "middle";
    pen.fillText(text, left + 5, top + h / 2 + 0.5);
  }

  // Without a film: the picture that stands for the scene, dim where it is of another moment, and each human's own picture there.
  function backdrop(ms, seen) {
    const scene = data.scenes.find((each) => each.start <= ms && ms < each.end);
    const still = scene && drawable(scene.thumb), fits = still && Math.abs(ms - scene.frame) <= data.step / 2;
    if (still) {
      pen.globalAlpha = fits ? 1 : 0.25;
      pen.drawImage(still, 0, 0, width, height);
      pen.globalAlpha = 1;
    }
    if (fits) return;
    for (const { track, boxes } of seen) {
      for (const kind of ["person", "face"]) {
        const image = drawable(track.thumbs[kind]);
        if (image && boxes[kind]) pen.drawImage(image, ...inPixels(boxes[kind]));
      }
    }
    pen.fillStyle = "rgb(255 255 255 / 0.6)";
    pen.font = "12px system-ui, sans-serif";
    pen.textBaseline = "bottom";
    pen.fillText(still ? `picture of ${clockText(scene.frame, data.duration)}` : "no video in this page", 10, height - 8);
  }

  // Tracks that are to be seen at `ms`, with their boxes.
  function seenAt(ms, view) {
    const seen = [];
    for (const track of tracks) {
      if (ms < track.first - data.step || ms > track.last + data.step || !view.wants(track)) continue;
      const boxes = { person: boxAt(track, "person", ms, data.step), face: boxAt(track, "face", ms, data.step) };
      if (boxes.person || boxes.face) seen.push({ track, boxes });
    }
    return seen;
  }

  function drawLoose(ms) {
    const end = countUpTo(loose.times, ms + data.step / 2);
    for (let index = countUpTo(loose.times, ms - data.step / 2); index < end; index++) {
      for (const kind of ["person", "face"]) {
        if (loose[kind][4 * index] >= 0) frame(boxOf(loose, kind, index), "rgb(255 255 255 / 0.75)", 1.5, [5, 4]);
      }
    }
  }

  function draw(ms, view) {
    pen.clearRect(0, 0, width, height);
    const seen = seenAt(ms, view);
    if (!view.hasFilm) backdrop(ms, seen);
    if (view.show.loose) drawLoose(ms);
    for (const { track, boxes } of seen) {
      const chosen = view.chosen === track.n, colour = `oklch(0.78 0.16 ${track.hue})`;
      pen.globalAlpha = view.chosen === null || chosen ? 1 : DIM;
      if (view.show.person && boxes.person) frame(boxes.person, colour, chosen ? 4 : 2.5, []);
      if (view.show.face && boxes.face) frame(boxes.face, colour, chosen ? 3 : 1.5, []);
      const anchor = (view.show.person && boxes.person) || (view.show.face && boxes.face);
      if (anchor) chip(labelText(track), anchor, colour);
    }
    pen.globalAlpha = 1;
    return seen.map(({ track }) => track);
  }

  // The track whose smallest box lies under a point in fractions of the picture; null when none does.
  function trackAt(x, y, ms, view) {
    const inside = (box) => box && x >= box.left && x <= box.left + box.width && y >= box.top && y <= box.top + box.height;
    const hits = seenAt(ms, view).flatMap(({ track, boxes }) =>
      [boxes.person, boxes.face].filter(inside).map((box) => ({ track, area: box.width * box.height })));
    return hits.length ? hits.reduce((best, each) => (each.area < best.area ? each : best)).track : null;
  }

  return { fit, draw, trackAt };
}
