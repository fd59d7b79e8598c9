// Tracks as cards and scenes as a strip.

function picture(source, words) {
  if (!source) return make("span", { className: "no-picture" }, words);
  return make("img", { src: source, alt: "", loading: "lazy", decoding: "async" });
}

function facing(degrees) {
  const arrow = make("span", { className: "facing", title: `Faces ${Math.round(degrees)}°`, role: "img", ariaLabel: `faces ${Math.round(degrees)} degrees` }, "↑");
  arrow.style.rotate = `${degrees}deg`;
  return arrow;
}

function trackCard(track, duration, act) {
  const when = `${clockText(track.first, duration)} – ${clockText(track.last, duration)}`;
  const told = attributesText(track);
  const kinds = Object.keys(track.thumbs);
  const faces = make("span", { className: "pictures" }, ...(kinds.length ? kinds : ["none"]).map((kind) => picture(track.thumbs[kind], kind === "none" ? "no picture" : `no ${kind}`)));
  const title = make("span", { className: "card-title" }, make("b", {}, `Track ${track.n}`), make("span", { className: "pill" }, track.label));
  if (track.degrees !== null) title.append(facing(track.degrees));
  const card = make("button", {
    type: "button",
    className: "card",
    ariaLabel: `Track ${track.n}, ${track.label}, ${told || "no estimates"}, ${when}: go to its first sighting`,
    data: { track: track.n },
  }, faces, title,
  make("span", { className: told ? "told" : "told quiet" }, told || "no estimates"),
  make("span", { className: "quiet" }, when),
  make("span", { className: "quiet" }, counted(track.sightings, "sighting")));
  card.style.setProperty("--hue", track.hue);
  card.addEventListener("click", () => act.choose(track, track.first));
  return card;
}

function sceneCard(scene, duration, act) {
  const text = scene.caption === null ? "no caption" : scene.caption + (scene.finished ? "" : " …");
  const when = `${clockText(scene.start, duration)} – ${clockText(scene.end, duration)}`;
  const card = make("button", { type: "button", className: "still", ariaLabel: `Scene ${scene.n}, ${when}, ${text}: go there`, data: { scene: scene.n } },
    picture(scene.thumb, "no picture"),
    make("span", { className: "quiet" }, make("b", {}, String(scene.n)), ` ${when}`),
    make("span", { className: scene.caption === null ? "quiet" : "told" }, text));
  card.addEventListener("click", () => act.seek(scene.frame));
  return card;
}

function makeCards(data, tracks, act) {
  const cards = new Map(tracks.map((track) => [track.n, trackCard(track, data.duration, act)]));
  const stills = data.scenes.map((scene) => sceneCard(scene, data.duration, act));
  document.getElementById("cards").append(...cards.values());
  document.getElementById("scenes").append(...stills);
  document.getElementById("scenes-part").hidden = !stills.length;
  let now = new Set(), current = -1;
  return {
    show(wants, chosen) {
      let shown = 0;
      for (const track of tracks) {
        const card = cards.get(track.n);
        card.hidden = !wants(track);
        shown += !card.hidden;
        card.setAttribute("aria-pressed", String(track.n === chosen));
        if (track.n === chosen) reveal(document.getElementById("cards"), card, 4);
      }
      document.getElementById("nobody").hidden = shown > 0;
    },
    move(ms, seen) {
      const next = new Set(seen.map((track) => track.n));
      for (const number of now) if (!next.has(number)) cards.get(number).classList.remove("now");
      for (const number of next) if (!now.has(number)) cards.get(number).classList.add("now");
      now = next;
      const scene = data.scenes.findIndex((each) => each.start <= ms && ms < each.end);
      if (scene === current) return;
      stills[current]?.classList.remove("now");
      stills[scene]?.classList.add("now");
      current = scene;
    },
  };
}
