// The timeline: what was seen of the video, its scenes, and one bar per track.

const TICK_STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
const ZOOM_MAX = 64;

function make(tag, properties = {}, ...children) {
  const { data = {}, ...rest } = properties, element = Object.assign(document.createElement(tag), rest);
  Object.assign(element.dataset, data);
  element.append(...children);
  return element;
}

function place(element, start, end, duration) {
  element.style.left = `${(100 * start) / duration}%`;
  element.style.width = `${(100 * Math.max(0, end - start)) / duration}%`;
  return element;
}

// Scroll `box` alone, and not the page, until `part` is in sight below `margin` pixels.
function reveal(box, part, margin) {
  const above = part.getBoundingClientRect().top - box.getBoundingClientRect().top - margin;
  // Without the scroll bar at its lower edge, which would lie over the part.
  const below = part.getBoundingClientRect().bottom - box.getBoundingClientRect().top - box.clientTop - box.clientHeight;
  if (above < 0) box.scrollTop += above; else if (below > 0) box.scrollTop += below;
}

// The stretches of a track without a gap in which nobody knows where it was.
function stretches(track, step) {
  const found = [];
  let start = track.times[0];
  for (let index = 1; index <= track.times.length; index++) {
    if (index === track.times.length || track.times[index] - track.times[index - 1] > GAP_STEPS * step) {
      found.push([start, track.times[index - 1]]);
      start = track.times[index];
    }
  }
  return found;
}

function makeTimeline(data, tracks, act) {
  const lanes = document.getElementById("lanes"), scale = document.getElementById("scale"), { duration } = data;
  const head = make("div", { className: "head" }), rows = new Map();
  let zoom = 1, dragging = false, followed = null;

  function lane(name, className, ...bars) {
    const row = make("div", { className: `lane ${className}` }, make("span", { className: "name" }, name), make("div", { className: "bars" }, ...bars));
    scale.append(row);
    return row;
  }

  function ticks() {
    const wide = Math.max(1, scale.clientWidth - 70), wanted = (duration / 1000 / wide) * 90;
    const step = 1000 * (TICK_STEPS_S.find((each) => each >= wanted) ?? 7200), marks = [];
    for (let at = 0; at <= duration - step / 4; at += step) {
      const mark = make("span", { className: "tick" }, clockText(at, duration).replace(/\.0$/, ""));
      marks.push(place(mark, at, at, duration));
    }
    axis.querySelector(".bars").replaceChildren(...marks);
  }

  function coverageBars() {
    const seen = place(make("i", { className: "seen" }), 0, Math.min(duration, data.coverage.decoded_ms), duration);
    const parts = data.coverage.parts.map((part) => {
      const words = `${clockText(part.start, duration)} – ${clockText(part.end, duration)}: ${part.words}`;
      return place(make("i", { className: part.kind, title: words }), part.start, part.end, duration);
    });
    return [seen, ...parts];
  }

  function sceneBar(scene) {
    const words = `Scene ${scene.n}, ${clockText(scene.start, duration)}${scene.caption ? `: ${scene.caption}` : ""}`;
    const bar = make("button", { type: "button", className: "scene", title: words, ariaLabel: words }, String(scene.n));
    bar.addEventListener("click", () => act.seek(scene.frame));
    return place(bar, scene.start, scene.end, duration);
  }

  function trackBar(track) {
    const words = `Track ${track.n}, ${track.label}, ${clockText(track.first, duration)} to ${clockText(track.last, duration)}`;
    const bar = make("button", { type: "button", className: "track", title: words, ariaLabel: words });
    const span = Math.max(1, track.last - track.first);
    for (const [start, end] of stretches(track, data.step)) {
      bar.append(place(document.createElement("i"), start - track.first, end - track.first, span));
    }
    bar.style.setProperty("--hue", track.hue);
    // A click with the mouse goes to the moment under it, the keyboard to the beginning.
    bar.addEventListener("click", (event) => act.choose(track, event.detail ? momentAt(event) : track.first));
    return place(bar, track.first, track.last, duration);
  }

  function momentAt(event) {
    const box = axis.querySelector(".bars").getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * duration;
  }

  function zoomBy(factor) {
    const share = (lanes.scrollLeft + lanes.clientWidth / 2) / Math.max(1, scale.clientWidth);
    zoom = Math.min(ZOOM_MAX, Math.max(1, zoom * factor));
    scale.style.setProperty("--zoom", zoom);
    lanes.scrollLeft = share * scale.clientWidth - lanes.clientWidth / 2;
    ticks();
  }

  function tellMore() {
    lanes.classList.toggle("more-below", lanes.scrollHeight - lanes.clientHeight - lanes.scrollTop > 2);
  }

  const axis = lane("", "axis");
  lane("seen", "coverage", ...coverageBars());
  if (data.scenes.length) lane("scenes", "cuts", ...data.scenes.map(sceneBar));
  for (const track of tracks) rows.set(track.n, lane(String(track.n), "person", trackBar(track)));
  scale.append(head);

  lanes.addEventListener("scroll", tellMore, { passive: true });
  new ResizeObserver(tellMore).observe(lanes);
  new ResizeObserver(tellMore).observe(scale);
  lanes.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target.closest("button") || !event.target.closest(".bars")) return;
    dragging = true;
    lanes.setPointerCapture(event.pointerId);
    act.seek(momentAt(event));
  });
  lanes.addEventListener("pointermove", (event) => dragging && act.seek(momentAt(event)));
  for (const name of ["pointerup", "pointercancel"]) lanes.addEventListener(name, () => { dragging = false; });
  document.getElementById("zoom-in").addEventListener("click", () => zoomBy(2));
  document.getElementById("zoom-out").addEventListener("click", () => zoomBy(0.5));
  const kinds = { seen: "decoded", errors: "with errors", skipped: "skipped", unseen: "not decoded" };
  const present = new Set(["seen", ...data.coverage.parts.map((part) => part.kind)]);
  document.getElementById("legend").append(
    ...Object.keys(kinds).filter((kind) => present.has(kind)).map((kind) => make("li", {}, make("i", { className: kind }), kinds[kind])));

  return {
    ticks,
    move(ms, playing, seen) {
      // On the one element that moves: a property of the scale would be looked up again for every bar.
      head.style.setProperty("--at", ms / duration);
      // The bars of those who are seen come into sight, once: a reader may scroll away.
      const number = seen.length ? seen[0].n : null;
      if (number !== null && number !== followed) reveal(lanes, rows.get(number), axis.offsetHeight);
      followed = number;
      if (!playing || zoom === 1) return;
      const x = head.offsetLeft, from = lanes.scrollLeft;
      if (x < from + 60 || x > from + lanes.clientWidth - 20) lanes.scrollLeft = x - lanes.clientWidth / 4;
    },
    show(wants, chosen) {
      for (const track of tracks) {
        const row = rows.get(track.n);
        row.hidden = !wants(track);
        row.classList.toggle("chosen", track.n === chosen);
        if (track.n === chosen) reveal(lanes, row, axis.offsetHeight);
      }
    },
  };
}
