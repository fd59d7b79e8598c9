"""The page of a real result, looked at in a real browser."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest
from numpy.typing import NDArray

from analyzer import cli
from analyzer.contract import Table
from analyzer.errors import ExitCode
from analyzer.schemas import analysis_schema, rekognition_schema, row_schema
from tests.rehearsal.browser import Page, open_browser
from tests.rehearsal.portrait import write_portrait_clip

pytestmark = pytest.mark.rehearsal

WIDTH, HEIGHT = 640, 480
# A caption as no model should write it; it must reach the screen as it is.
CAPTION = "</script><script>fetch('https://example.com')</script> & a woman"


def analyzer(*arguments: object) -> None:
    assert cli.main([*map(str, arguments)]) == ExitCode.OK


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result of the moving portrait, with scenes besides and the page of it with and without its film."""
    folder = tmp_path_factory.mktemp("report")
    clip, out = folder / "portrait.mp4", folder / "out"
    write_portrait_clip(clip, seconds=3)
    analyzer("run", "--video", clip, "--out", out)
    document = json.loads((out / "result.json").read_text())
    scene = {"start_ms": 0, "end_ms": 1500, "frame_ms": 1000, "caption": {"text": CAPTION, "finished": True}}
    other = {"start_ms": 1500, "end_ms": 3000, "frame_ms": 2500, "caption": None}
    document["scenes"] = [{"scene": 1, **scene, "thumbnail": None}, {"scene": 2, **other, "thumbnail": None}]
    (out / "result.json").write_text(json.dumps(document))
    analyzer("report", out, "--html", out / "film.html", "--video", clip)
    analyzer("report", out, "--html", out / "plain.html")
    whole = (out / "film.html").read_text()
    (out / "broken.html").write_text(re.sub(r'(id="film-data">)[^<]*', r"\1AAAA", whole))
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with open_browser() as page:
        yield page


@pytest.fixture
def page(browser: Page) -> Iterator[Page]:
    """A window as wide as the portrait's clip; at the end, nothing was complained of, and nothing was asked of any network."""
    browser.troubles.clear()
    browser.requests.clear()
    browser.shape(900, 1000)
    yield browser
    assert browser.troubles == []
    assert {address.partition(":")[0] for address in browser.requests} <= {"file", "data", "blob"}


def sightings(result: Path) -> dict[int, dict[str, dict[str, float]]]:
    """The track's boxes by time and label."""
    document = json.loads((result / "result.json").read_text())
    seen: dict[int, dict[str, dict[str, float]]] = {}
    for each in document["detections"]:
        if each["track"]:
            seen.setdefault(each["pts_ms"], {})[each["label"]] = each["box"]
    return seen


def layer(page: Page, name: str) -> NDArray[np.uint8]:
    """What the canvas (`boxes`) or the film (`film`) shows: (HEIGHT, WIDTH, 4) RGBA."""
    script = f"""(() => {{
      const copy = new OffscreenCanvas({WIDTH}, {HEIGHT}), pen = copy.getContext("2d");
      pen.drawImage(document.getElementById("{name}"), 0, 0, {WIDTH}, {HEIGHT});
      const bytes = pen.getImageData(0, 0, {WIDTH}, {HEIGHT}).data;
      let text = "";
      for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
      return btoa(text);
    }})()"""
    pixels = base64.b64decode(page.evaluate(script))
    return np.frombuffer(pixels, np.uint8).reshape(HEIGHT, WIDTH, 4)


def drawn(canvas: NDArray[np.uint8], x: float, y: float) -> bool:
    """Whether something is drawn within two pixels of a point in fractions of the picture."""
    column, row = round(x * WIDTH), round(y * HEIGHT)
    return bool(canvas[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3, 3].max() > 100)


def outlined(canvas: NDArray[np.uint8], box: dict[str, float]) -> bool:
    """Whether both upright sides of a box are drawn, at three heights, and nothing between them."""
    sides = [
        (x, box["top"] + share * box["height"])
        for x in (box["left"], box["left"] + box["width"])
        for share in (0.3, 0.5, 0.7)
    ]
    return all(drawn(canvas, *point) for point in sides)


def seek(page: Page, ms: int) -> None:
    page.evaluate(
        f"(slider => {{ slider.value = {ms}; slider.dispatchEvent(new Event('input')); }})(document.getElementById('slider'))"
    )
    page.until("!document.getElementById('film').seeking")


def shown_ms(page: Page) -> int:
    return int(page.evaluate("document.getElementById('slider').value"))


def test_what_a_job_writes_follows_its_schemas(result: Path, tmp_path: Path) -> None:
    analyzer("export", result, "--format", "rekognition", "--out", tmp_path / "tracks.json")
    documents = [(result / "result.json", analysis_schema()), (tmp_path / "tracks.json", rekognition_schema())]
    for path, schema in documents:
        jsonschema.validate(json.loads(path.read_text()), schema, cls=jsonschema.Draft202012Validator)
    for table in Table:
        judge = jsonschema.Draft202012Validator(row_schema(table))
        lines = (result / f"{table}.jsonl").read_text().splitlines()
        assert lines
        assert [error.message for line in lines for error in judge.iter_errors(json.loads(line))] == []


@pytest.mark.parametrize("name", ["film.html", "plain.html"])
def test_boxes_stand_where_the_detections_are(name: str, page: Page, result: Path) -> None:
    page.open(result / name)
    seen = sightings(result)
    with_face = [pts_ms for pts_ms, boxes in seen.items() if "face" in boxes]
    for pts_ms in with_face[1:3]:
        seek(page, pts_ms)
        canvas = layer(page, "boxes")
        assert {label: outlined(canvas, box) for label, box in seen[pts_ms].items()} == dict.fromkeys(
            seen[pts_ms], True
        )
        assert not outlined(canvas, seen[pts_ms]["face"] | {"left": 0.005}), "a box is drawn where nobody is"
    # Between two sightings the box is on its way.
    before, after = with_face[1:3]
    seek(page, (before + after) // 2)
    faces = [seen[pts_ms]["face"] for pts_ms in (before, after)]
    assert outlined(layer(page, "boxes"), {side: (faces[0][side] + faces[1][side]) / 2 for side in faces[0]})


@pytest.mark.parametrize(
    ("ms", "left"),
    [
        (0, None),  # long before
        (800, 0.1),  # less than half a step before the first sighting
        (1000, 0.1),
        (1500, 0.15),  # half way to the next
        (2400, 0.2),  # less than half a step after a sighting that a long gap follows
        (2600, None),  # nobody knows
        (9000, 0.4),
        (10_000, 0.5),  # the one between them was a face alone
        (11_600, None),  # long after
    ],
)
def test_boxes_go_straight_between_sightings_and_nowhere_in_a_gap(
    ms: int, left: float | None, page: Page, result: Path
) -> None:
    if not page.evaluate("typeof boxAt === 'function'"):
        page.open(result / "plain.html")
    times, boxes = [1000, 1000, 7000, 1000, 1000], [1000, 2000, 4000, -1, 6000]
    parts = [number for each in boxes for number in (each, 0, 100, 100)]
    path = json.dumps({"t": times, "p": parts, "f": [-1] * len(parts)})
    box = page.evaluate(f"boxAt(readPath({path}), 'person', {ms}, 1000)")
    assert (box and round(box["left"], 4)) == left
    assert page.evaluate(f"boxAt(readPath({path}), 'face', {ms}, 1000)") is None


def small(picture: NDArray[np.uint8]) -> NDArray[np.int16]:
    return cv2.resize(picture, (WIDTH // 4, HEIGHT // 4), interpolation=cv2.INTER_AREA).astype(np.int16)


def test_film_shows_the_picture_of_its_time(page: Page, result: Path) -> None:
    page.open(result / "film.html")
    clip = cv2.VideoCapture(str(result.parent / "portrait.mp4"))
    source = {40 * index: small(clip.read()[1]) for index in range(75)}
    apart = {}
    for at_ms in (2000, 400, 1200):
        seek(page, at_ms)
        film = small(cv2.cvtColor(layer(page, "film"), cv2.COLOR_RGBA2BGR))
        apart[at_ms] = min(source, key=lambda ms: float(np.abs(film - source[ms]).mean()))
    assert apart == {at_ms: pytest.approx(at_ms, abs=40) for at_ms in apart}


def test_clicks_and_keys_move_time_and_choose_tracks(page: Page, result: Path) -> None:
    page.open(result / "film.html")
    page.evaluate("document.querySelector('.still[data-scene=\"2\"]').click()")
    page.until("document.getElementById('clock').textContent.startsWith('0:02.5')")
    assert page.evaluate("document.querySelector('.still .told').textContent") == CAPTION
    page.press("ArrowLeft")
    assert shown_ms(page) == 1500
    page.press(".")
    times = sorted(sightings(result))
    assert shown_ms(page) == min(at_ms for at_ms in times if at_ms > 1500)
    page.press("Home")
    assert shown_ms(page) == 0
    # The middle of the timeline's bars.
    x, y = page.evaluate(
        "(box => [box.left + box.width / 2, box.top + box.height / 2])(document.querySelector('.coverage .bars').getBoundingClientRect())"
    )
    page.click(x, y)
    assert shown_ms(page) == pytest.approx(1500, abs=10)
    page.evaluate("document.querySelector('.card').click()")
    assert shown_ms(page) == times[0]
    assert page.evaluate("document.querySelector('.card').getAttribute('aria-pressed')") == "true"
    page.evaluate("document.activeElement.blur()")
    page.press("Escape")
    assert page.evaluate("document.querySelector('.card').getAttribute('aria-pressed')") == "false"
    # After a click with the mouse the space bar plays, whatever was clicked.
    page.click(
        *page.evaluate(
            "(box => [box.left + 20, box.top + 20])(document.querySelector('.still').getBoundingClientRect())"
        )
    )
    page.press(" ")
    page.until("document.body.classList.contains('playing')")


@pytest.mark.parametrize("name", ["film.html", "plain.html", "broken.html"])
def test_time_passes_while_it_plays(name: str, page: Page, result: Path) -> None:
    page.open(result / name)
    page.press(" ")
    page.until("document.body.classList.contains('playing')")
    page.until("!document.getElementById('clock').textContent.startsWith('0:00.')")
    page.press(" ")
    page.until("!document.body.classList.contains('playing')")
    assert 1000 <= shown_ms(page) <= 3000


def test_every_control_has_a_name_and_the_phone_needs_no_sideways_scrolling(page: Page, result: Path) -> None:
    page.shape(390, 844, dark=True)
    page.open(result / "film.html")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.call("Accessibility.enable")
    nodes: list[dict[str, Any]] = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "slider", "combobox", "checkbox", "radio", "image"}
    controls = [each for each in nodes if each.get("role", {}).get("value") in roles]
    assert len(controls) > 10
    assert [each for each in controls if not each.get("name", {}).get("value")] == []


@pytest.fixture(scope="module")
def crowd(result: Path) -> Path:
    """The page of the portrait as if it had been seen as forty tracks."""
    document = json.loads((result / "result.json").read_text())
    track, sights = document["tracks"][0], document["detections"]
    document["tracks"] = [track | {"track": number, "thumbnails": {}} for number in range(1, 41)]
    document["detections"] = [
        sight | {"track": number, "index": 100 * number + sight["index"], "face_of": None}
        for sight in sights
        if sight["track"] == track["track"]
        for number in range(1, 41)
    ]
    folder = result.parent / "crowd"
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps(document))
    analyzer("report", folder, "--html", folder / "page.html")
    return folder / "page.html"


# Tracks of which the bar is what lies at its own middle: neither cut off by the timeline's edge nor under its axis.
IN_SIGHT = """[...document.querySelectorAll(".lane.person .track")].flatMap((bar, index) => {
    const box = bar.getBoundingClientRect(), x = box.left + box.width / 2, y = box.top + box.height / 2;
    return bar.contains(document.elementFromPoint(x, y)) ? [index + 1] : [];
})"""


def test_every_track_of_a_crowd_comes_into_sight_in_the_timeline(page: Page, crowd: Path) -> None:
    everybody = list(range(1, 41))
    page.shape(1400, 2400)
    page.open(crowd)
    assert page.evaluate(IN_SIGHT) == everybody, "a tall window has room for all"
    for width, height in ((900, 1000), (390, 844)):
        page.shape(width, height)
        page.open(crowd)
        page.evaluate("lanes.scrollIntoView({block: 'end'})")
        page.until("lanes.classList.contains('more-below')")
        first = page.evaluate(IN_SIGHT)
        assert first == everybody[: len(first)] != everybody
        box = page.evaluate(
            "(({left, top, width, height}) => [left + width / 2, top + height / 2])(lanes.getBoundingClientRect())"
        )
        seen = set(first)
        while page.evaluate("lanes.classList.contains('more-below')"):
            before = page.evaluate("lanes.scrollTop")
            page.call("Input.dispatchMouseEvent", type="mouseWheel", x=box[0], y=box[1], deltaX=0, deltaY=100)
            page.until(f"lanes.scrollTop > {before}")
            seen |= set(page.evaluate(IN_SIGHT))
        assert sorted(seen) == everybody
        # By keyboard, from the last to the first: the axis does not lie over what is focused.
        for number in (40, 20, 1):
            page.evaluate(f"document.querySelectorAll('.lane.person .track')[{number - 1}].focus()")
            assert number in page.evaluate(IN_SIGHT)
