// The clock, and everything that moves with it.

// Time that passes by itself, where there is no film.
function makeClock(duration, onTick) {
  let at = 0, since = null, rate = 1;
  const now = () => (since === null ? at : Math.min(duration, at + (performance.now() - since) * rate));
  function tick() {
    if (since === null) return;
    if (now() >= duration) clock.pause();
    onTick();
    requestAnimationFrame(tick);
  }
  const clock = {
    get ms() { return now(); },
    get playing() { return since !== null; },
    play() { if (at >= duration) at = 0; since = performance.now(); onTick(); requestAnimationFrame(tick); },
    pause() { at = now(); since = null; onTick(); },
    seek(ms) { at = Math.min(duration, Math.max(0, ms)); if (since !== null) since = performance.now(); onTick(); },
    set rate(value) { at = now(); if (since !== null) since = performance.now(); rate = value; },
  };
  return clock;
}

// The film's own time: while it plays, that of the picture on the screen, where the browser tells it; else the one that was asked for.
function makeFilmClock(film, onTick) {
  let shown = 0;
  const tells = "requestVideoFrameCallback" in film;
  function follow(_, frame) {
    // A picture that comes late belongs to an earlier wish.
    if (!film.paused && !film.seeking) shown = 1000 * frame.mediaTime;
    onTick();
    film.requestVideoFrameCallback(follow);
  }
  function poll() {
    shown = 1000 * film.currentTime;
    onTick();
    if (!film.paused) requestAnimationFrame(poll);
  }
  if (tells) film.requestVideoFrameCallback(follow); else film.addEventListener("play", poll);
  film.addEventListener("seeked", onTick);
  for (const name of ["play", "pause", "ended"]) film.addEventListener(name, onTick);
  return {
    get ms() { return shown; },
    get playing() { return !film.paused && !film.ended; },
    play() { film.play().catch(() => {}); },
    pause() { film.pause(); },
    seek(ms) { shown = Math.max(0, ms); film.currentTime = shown / 1000; onTick(); },
    set rate(value) { film.playbackRate = value; },
  };
}

function filmAddress() {
  const place = document.getElementById("film-data"), text = place.textContent;
  place.remove();
  if (!text) return null;
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
}

function readImages(data) {
  const images = new Map();
  for (const source of [...data.scenes.map((each) => each.thumb), ...data.tracks.flatMap((each) => Object.values(each.thumbs))]) {
    if (!source) continue;
    const image = new Image();
    image.src = source;
    images.set(source, image);
  }
  return images;
}

function start() {
  const by = (id) => document.getElementById(id);
  const data = JSON.parse(by("data").textContent), tracks = data.tracks.map(readTrack), { duration } = data;
  const film = by("film"), address = filmAddress(), canvas = by("boxes");
  const view = { chosen: null, label: "all", hasFilm: address !== null, show: { person: true, face: true, loose: false }, wants: (track) => view.label === "all" || track.label === view.label };
  const moments = Int32Array.from(new Set(tracks.flatMap((track) => [...track.times]))).sort();
  const images = view.hasFilm ? new Map() : readImages(data);
  const stage = makeStage(canvas, data, tracks, images);
  let clock = makeClock(duration, update);

  const act = {
    seek(ms) { clock.seek(Math.round(ms)); },
    choose(track, ms) {
      view.chosen = track.n;
      show();
      act.seek(ms);
    },
  };
  makeFacts(data);
  const timeline = makeTimeline(data, tracks, act), cards = makeCards(data, tracks, act);

  function update() {
    const { ms, playing } = clock, seen = stage.draw(ms, view);
    timeline.move(Math.min(ms, duration), playing, seen);
    cards.move(ms, seen);
    by("slider").value = Math.round(ms);
    by("clock").textContent = `${clockText(ms, duration)} / ${clockText(duration, duration)}`;
    by("slider").setAttribute("aria-valuetext", clockText(ms, duration));
    document.body.classList.toggle("playing", playing);
    by("play").setAttribute("aria-label", playing ? "Pause" : "Play");
    if (!playing) by("spoken").textContent = seen.length ? `Seen: ${seen.map((track) => `track ${track.n} ${attributesText(track)}`).join("; ")}` : "Nobody is seen";
  }

  function show() {
    timeline.show(view.wants, view.chosen);
    cards.show(view.wants, view.chosen);
    update();
  }

  const toggle = () => (clock.playing ? clock.pause() : clock.play());
  function step(direction) {
    clock.pause();
    const index = countUpTo(moments, direction > 0 ? clock.ms + 1 : clock.ms - 2);
    const next = direction > 0 ? moments[index] : moments[index - 1];
    if (next !== undefined) act.seek(next);
  }

  function onKey(event) {
    const target = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || target.matches("select")) return;
    // A focused button, fold or choice takes the space bar itself.
    if (event.key === " " && target.closest("button, summary, input:not([type=range])")) return;
    if (event.key.startsWith("Arrow") && target.matches("input:not([type=range])")) return;
    const far = event.shiftKey ? 10000 : 1000;
    const keys = {
      " ": toggle,
      ArrowLeft: () => act.seek(Math.max(0, clock.ms - far)),
      ArrowRight: () => act.seek(Math.min(duration, clock.ms + far)),
      ",": () => step(-1),
      ".": () => step(1),
      Home: () => act.seek(0),
      End: () => act.seek(duration),
      Escape: () => { view.chosen = null; show(); },
    };
    if (!Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  }

  function makeFilter() {
    const counts = { all: tracks.length, person: 0, face: 0 }, names = { all: "all tracks", person: "people", face: "faces only" };
    for (const track of tracks) counts[track.label]++;
    by("filter").hidden = !counts.person || !counts.face;
    for (const [label, count] of Object.entries(counts)) {
      const input = make("input", { type: "radio", name: "label", value: label, checked: label === "all" });
      input.addEventListener("change", () => { view.label = label; view.chosen = null; show(); });
      by("filter").append(make("label", { className: "check" }, input, ` ${names[label]} ${count}`));
    }
  }

  function openFilm() {
    film.hidden = false;
    film.src = address;
    clock = makeFilmClock(film, update);
    film.addEventListener("error", () => {
      film.hidden = true;
      view.hasFilm = false;
      clock = makeClock(duration, update);
      by("notes").append(make("li", {}, "This browser does not play the film in this page; time passes without it"));
      update();
    }, { once: true });
  }

  by("stage").style.aspectRatio = `${data.width} / ${data.height}`;
  by("stage").style.setProperty("--ratio", data.width / data.height);
  by("slider").max = duration;
  by("loose-choice").hidden = !data.loose.t.length;
  by("slider").addEventListener("input", () => act.seek(Number(by("slider").value)));
  by("play").addEventListener("click", toggle);
  by("earlier").addEventListener("click", () => step(-1));
  by("later").addEventListener("click", () => step(1));
  by("rate").addEventListener("change", () => { clock.rate = Number(by("rate").value); });
  for (const kind of ["person", "face", "loose"]) by(`show-${kind}`).addEventListener("change", (event) => { view.show[kind] = event.target.checked; update(); });
  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    const track = stage.trackAt((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height, clock.ms, view);
    if (!track) return void toggle();
    view.chosen = track.n === view.chosen ? null : track.n;
    show();
  });
  document.addEventListener("keydown", onKey);
  // After a click with the mouse the space bar plays; only who came by keyboard stays on the button.
  document.addEventListener("click", (event) => event.detail && event.target.closest("button")?.blur());
  new ResizeObserver(() => { stage.fit(); timeline.ticks(); update(); }).observe(by("stage"));
  for (const image of images.values()) image.addEventListener("load", update, { once: true });
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
  makeFilter();
  if (view.hasFilm) openFilm();
  stage.fit();
  timeline.ticks();
  show();
  document.documentElement.dataset.ready = "true";
}

start();
