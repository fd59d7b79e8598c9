"""What becomes of a job's result: who looks alike is found, and the page of it is looked at."""

import json
import os
import subprocess
from pathlib import Path

from lifecycle.domain.job import contract
from lifecycle.domain.layout import Folder
from lifecycle.domain.measures import counted
from lifecycle.rehearsal.html_page import HtmlPage
from lifecycle.rehearsal.project import BUCKET
from lifecycle.rehearsal.recorder import Recorder
from lifecycle.rehearsal.scenes.parts import expect
from lifecycle.rehearsal.stage import Stage

PAGE = "long.html"
_COMMAND_TIMEOUT_S = 120


def play_results(stage: Stage, record: Recorder, *, session: str, twin: str, video: str) -> None:
    """`twin` is another session of the same video, which is `video` in the stage's folder; other videos were analysed before."""
    _search(stage, record, session, twin, video)
    _page(stage, record, session, video)


def _search(stage: Stage, record: Recorder, session: str, twin: str, video: str) -> None:
    with record.step("analyzer search --like") as step:
        like = f"{session}/1"
        hits = json.loads(_analyzer(stage, "search", "--like", like, "-o", "json"))["hits"]
        tracks = [hit for hit in hits if hit["kind"] == "track"]
        best = {hit["session_id"]: hit for hit in reversed(tracks)}
        expect(twin in best and best[twin]["similarity"] > 0.99, f"the same person must be found, found {tracks}")
        other = next((hit for hit in tracks if not hit["video_url"].endswith(video)), None)
        expect(other is not None, f"who was filmed larger must be found too, found {tracks}")
        assert other is not None
        step.result = (
            f"track 1 of `{twin}`, {best[twin]['similarity']:.3f} alike; "
            f"in {other['video_url'].rpartition('/')[2]} track {other['ref']}, {other['similarity']:.3f}"
        )


def _page(stage: Stage, record: Recorder, session: str, video: str) -> None:
    with record.step("analyzer report --html") as step:
        folder, page = stage.folder / "result", stage.folder / PAGE
        _fetch(stage, f"{Folder.RESULTS}/{session}/", folder)
        said = _analyzer(stage, "report", str(folder), "--html", str(page), "--video", str(stage.folder / video))
        shown, result = HtmlPage(page.read_text()), json.loads((folder / contract.RESULT_NAME).read_bytes())
        expect(not shown.fetched, f"the page must read nothing but itself, found {shown.fetched}")
        expect("default-src 'none'" in shown.policy, f"its policy must forbid everything else, found `{shown.policy}`")
        tracks = json.loads(shown.texts["data"])["tracks"]
        expect(len(tracks) == len(result["tracks"]) > 0, f"the page must hold the tracks, found {len(tracks)}")
        step.result = (
            f"{counted(len(tracks), 'track')} in one file that fetches nothing; {said.strip().rpartition('/')[2]}"
        )


def _fetch(stage: Stage, prefix: str, folder: Path) -> None:
    s3 = stage.client("s3")
    for entry in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]:
        target = folder / entry["Key"].removeprefix(prefix)
        target.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(BUCKET, entry["Key"], str(target))


def _analyzer(stage: Stage, *arguments: str) -> str:
    """What the command prints, as a person on the stage types it. Raises `CapctlError("rehearsal-check")` when it fails."""
    done = subprocess.run(
        ["analyzer", *arguments],
        env={**os.environ, **stage.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_COMMAND_TIMEOUT_S,
        check=False,
    )
    expect(done.returncode == 0, f"`analyzer {arguments[0]}` must succeed: {done.stderr.strip()[-500:]}")
    return done.stdout
