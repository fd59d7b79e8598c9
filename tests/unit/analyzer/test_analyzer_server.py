"""The HTTP door through its ASGI app, with a job of the test's own, and once as a process with a real clip and a real signal."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="`requirements/analyzer-serve.in` is not installed")
pytest.importorskip("uvicorn", reason="`requirements/analyzer-serve.in` is not installed")

from analyzer.contract import ExitCode
from analyzer.errors import InputUnreadable
from analyzer.server import app
from analyzer.server.limits import BODY_BYTES_MAX
from tests.unit.analyzer.server_door import SOON_S, Answer, Door, error_of


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    opened = Door(tmp_path)
    opened.ready.set()
    yield opened
    opened.analyses.stop()
    opened.told.release()
    opened.analyses.close(SOON_S)


def test_an_analysis_goes_from_202_to_its_result(door: Door) -> None:
    answer = door.submit(session_id="a", sample_fps=5)
    assert (answer.status, answer.headers["location"]) == (202, "/v1/analyses/a")
    assert door.begun.acquire(timeout=SOON_S)
    assert door.call("GET", "/v1/analyses/a").json == {
        "id": "a", "status": "running", "step": "analyse", "percent": 41.3, "fps": 100.0, "eta_seconds": 3, "attempt": 2, "error": None
    }  # fmt: skip
    assert error_of(door.call("GET", "/v1/analyses/a/result")) == (409, "result-absent")
    (request,) = door.seen
    assert request.result is not None
    assert request.result.path is not None
    assert request.sample_fps == 5
    request.result.path.mkdir(parents=True)
    (request.result.path / "result.json").write_text('{"tracks": []}')
    door.end(lambda: {"status": "partial"})
    assert door.wait_for("a", "partial")["percent"] == 100
    assert door.call("GET", "/v1/analyses/a/result").json == {"tracks": []}
    again = door.submit(session_id="a", sample_fps=5)
    assert (again.status, again.json["status"], len(door.seen)) == (202, "partial", 1)
    assert error_of(door.submit(session_id="a", sample_fps=6)) == (409, "session-has-result")
    assert door.call("GET", "/v1/analyses/a/result").status == 200, "what is refused takes nothing away"


def test_failures_are_told_and_submitting_again_begins_again(door: Door) -> None:
    def fail() -> dict[str, Any]:
        raise InputUnreadable("no-video", "Nothing decodes", hint="Re-encode it")

    name = door.submit().json["id"]
    assert name == door.submit().json["id"], "without an id the address gives one"
    door.end(fail)
    document = door.wait_for(name, "failed")
    assert document["error"] == {"code": "no-video", "message": "Nothing decodes", "hint": "Re-encode it"}
    assert error_of(door.call("GET", f"/v1/analyses/{name}/result")) == (409, "result-absent")
    assert door.submit(session_id=name, sample_fps=6).json["status"] == "queued", "also with another request"
    door.end(lambda: {"status": "succeeded"})
    door.wait_for(name, "succeeded")
    ended = door.call("DELETE", f"/v1/analyses/{name}")
    assert (ended.status, ended.json["status"]) == (200, "succeeded")


def metrics_of(door: Door) -> dict[str, float]:
    """Of the service: how many analyses wait and run, and have come to each outcome."""
    text = door.call("GET", "/metrics").body.decode()
    found = re.findall(r'^analyzer_analyses_(?:ended_total\{outcome=")?(\w+)(?:"\})? (\S+)$', text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def test_a_full_queue_says_when_to_come_again_and_a_cancelled_one_makes_room(door: Door) -> None:
    door.submit(session_id="a")
    assert door.begun.acquire(timeout=SOON_S)
    assert [door.submit(session_id=each).status for each in "bc"] == [202, 202]
    full = door.submit(session_id="d")
    assert error_of(full) == (429, "queue-full")
    assert int(full.headers["retry-after"]) >= 1
    assert error_of(door.submit(session_id="b", sample_fps=1)) == (409, "session-in-use")
    cancelled = door.call("DELETE", "/v1/analyses/b")
    assert (cancelled.status, cancelled.json["status"], cancelled.json["error"]) == (200, "cancelled", None)
    assert door.submit(session_id="d").status == 202
    leaving = [door.call("DELETE", "/v1/analyses/a") for _ in range(2)]
    assert [(each.status, each.json["status"]) for each in leaving] == [(202, "cancelling")] * 2
    assert door.call("GET", "/v1/analyses/a").json["status"] == "cancelling"
    assert metrics_of(door) == {
        "waiting": 2, "running": 1, "succeeded": 0, "partial": 0, "failed": 0, "cancelled": 1
    }  # fmt: skip
    door.told.release()
    assert door.wait_for("a", "cancelled")["error"] is None
    assert door.call("DELETE", "/v1/analyses/a").status == 200
    assert error_of(door.call("GET", "/v1/analyses/a/result")) == (409, "result-absent")
    assert door.begun.acquire(timeout=SOON_S)
    assert [each.session_id for each in door.seen] == ["a", "c"]
    assert metrics_of(door)["cancelled"] == 2
    assert door.analyses.close(0), "what waits is cut off"


def test_analyses_are_listed_the_newest_first(door: Door) -> None:
    assert door.call("GET", "/v1/analyses").json == {"analyses": [], "total": 0}
    for name in "abc":
        door.submit(session_id=name)
    assert door.begun.acquire(timeout=SOON_S)
    door.call("DELETE", "/v1/analyses/b")
    listed = door.call("GET", "/v1/analyses").json
    assert listed["total"] == 3
    assert [(each["id"], each["status"]) for each in listed["analyses"]] == [
        ("c", "queued"), ("b", "cancelled"), ("a", "running")
    ]  # fmt: skip
    assert listed["analyses"][2] == door.call("GET", "/v1/analyses/a").json
    door.submit(session_id="b")
    two = door.call("GET", "/v1/analyses?limit=2").json
    assert ([each["id"] for each in two["analyses"]], two["total"]) == (["b", "c"], 3), "submitted again is new"
    for limit in ("0", "1001", "x", "9" * 5000):
        assert error_of(door.call("GET", f"/v1/analyses?limit={limit}")) == (400, "query-invalid")


def test_two_analyses_do_not_share_a_place(door: Door, tmp_path: Path) -> None:
    inside = tmp_path / "videos" / "out"
    assert door.submit(session_id="a", result_url=str(inside)).status == 202
    for url in (f"{inside}/", f"file://{inside}/../out"):
        assert error_of(door.submit(session_id="b", result_url=url)) == (409, "result-in-use")
    assert door.submit(session_id="b", result_url="s3://results/x").status == 202
    assert error_of(door.submit(session_id="c", result_url="s3://results/x/")) == (409, "result-in-use")
    door.call("DELETE", "/v1/analyses/b")
    assert door.submit(session_id="c", result_url="s3://results/x/").status == 202, (
        "what was cancelled has no result there"
    )
    assert error_of(door.submit(session_id="b", result_url="s3://results/x")) == (409, "result-in-use")


def test_what_is_submitted_again_while_its_cancelled_run_ends_is_run(door: Door) -> None:
    door.submit(session_id="a")
    assert door.begun.acquire(timeout=SOON_S)
    assert door.call("DELETE", "/v1/analyses/a").json["status"] == "cancelling"
    assert [door.submit(session_id="a").json["status"] for _ in range(2)] == ["queued", "queued"]
    assert error_of(door.submit(session_id="a", sample_fps=1)) == (409, "session-in-use")
    door.told.release()
    assert door.begun.acquire(timeout=SOON_S)
    door.end(lambda: {"status": "succeeded"})
    door.wait_for("a", "succeeded")
    assert len(door.seen) == 2


def test_clients_open_no_path_outside_the_allowed_folder(door: Door, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "videos" / "link").symlink_to(tmp_path / "secret")
    inside, outside = str(tmp_path / "videos" / "a.mp4"), str(tmp_path / "secret")
    for path in (
        outside,
        f"file://{outside}",
        "videos/a.mp4",
        f"{tmp_path}/videos/../secret",
        f"{tmp_path}/videos/link",
    ):
        assert error_of(door.submit(video_url=path)) == (400, "path-not-allowed"), path
    assert error_of(door.submit(result_url=str(tmp_path / "elsewhere"))) == (400, "path-not-allowed")
    assert door.submit(video_url=inside, session_id="inside").status == 202


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"video_url": "http://x/y"}, "location-invalid"),
        ({"session_id": "../x"}, "session-id-invalid"),
        ({"sample_fps": 1e9}, "sample-fps-invalid"),
        ({"video_url": "s3://videos/a\0"}, "text-invalid"),
        ({"video_url": "s3://videos/\ud800.mp4"}, "body-invalid"),
        ({"\udfff": "x"}, "body-invalid"),
        ({"sample_mode": "all"}, "body-invalid"),
        ({"database_url": "postgresql://x"}, "body-invalid"),
        ({"caption_prompt": "x" * 5000}, "body-invalid"),
    ],
)
def test_malformed_requests_are_refused_in_one_shape(door: Door, fields: dict[str, Any], code: str) -> None:
    assert error_of(door.submit(**fields)) == (400, code)


def test_a_body_that_is_no_json_is_told_how_to_become_some(door: Door) -> None:
    def told(body: bytes) -> tuple[str, str]:
        answer = door.call("POST", "/v1/analyses", body)
        assert error_of(answer) == (400, "body-invalid")
        return answer.json["error"]["message"], answer.json["error"]["hint"]

    assert told(b"{bad")[0] == "The body is not JSON, at character 1"
    assert told(b"[]")[0].startswith("The body: ")
    door.content_type = "application/x-www-form-urlencoded"
    assert told(b'{"video_url": "s3://videos/a.mp4"}') == (
        "The body came under another content type than that of JSON", "Send `Content-Type: application/json`"
    )  # fmt: skip


def test_whatever_goes_wrong_is_told_in_the_same_shape(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    assert error_of(door.call("GET", "/nowhere")) == (404, "route-unknown")
    assert error_of(door.call("POST", "/healthz")) == (405, "method-not-allowed")
    assert error_of(door.call("POST", "/v1/analyses", b"{")) == (400, "body-invalid")
    assert error_of(door.call("POST", "/v1/analyses", b"[" * 100_000)) == (400, "request-refused")
    fitting = json.dumps({"video_url": "s3://videos/a.mp4"}).encode().ljust(BODY_BYTES_MAX)
    assert door.call("POST", "/v1/analyses", fitting).status == 202
    assert error_of(door.call("POST", "/v1/analyses", fitting + b" ")) == (413, "body-too-long")
    monkeypatch.setattr(door.analyses, "get", lambda _: {}["x"])
    answering, parts = door.asked("GET", "/v1/analyses/a")
    with pytest.raises(KeyError):
        # The server writes it into its log as well.
        asyncio.run(answering)
    assert error_of(Answer.of(parts)) == (500, "bug")


def test_a_result_that_never_comes_does_not_hold_up_the_end(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, never = threading.Event(), threading.Event()

    class Silent:
        def chunks(self, _name: str) -> Iterator[bytes]:
            begun.set()
            never.wait()
            yield b""

    monkeypatch.setattr(app, "place_at", lambda _: Silent())
    door.submit(session_id="a")
    door.end(lambda: {"status": "succeeded"})
    door.wait_for("a", "succeeded")
    answering, parts = door.asked("GET", "/v1/analyses/a/result")

    async def cut_off() -> None:
        request = asyncio.create_task(answering)
        assert await asyncio.to_thread(begun.wait, SOON_S)
        request.cancel()
        await request

    asyncio.run(cut_off())
    assert error_of(Answer.of(parts)) == (503, "server-ends")
    never.set()


def test_a_real_server_is_stopped_in_the_middle_and_the_next_goes_on(
    make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    # Sixty seconds: half of them and a little more are behind the first segment.
    clip = make_clip(frame_count=600)
    command = ["serve", "--port", "0", "--results", str(tmp_path / "results"), "--allow-path", str(tmp_path)]
    environment = {**os.environ, "BACKEND": "opencv", "SAMPLE_FPS": "5", "MODEL_ROOT": str(tmp_path / "no-models")}
    with subprocess.Popen(
        [sys.executable, "-m", "analyzer", *command], env=environment, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        url = next(event["url"] for line in server.stdout if (event := json.loads(line))["event"] == "listening")
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(urllib.request.Request(f"{url}/healthz", headers={"Host": "a-page.example"}))
        body = json.dumps({"video_url": str(clip), "session_id": "s"}).encode()
        request = urllib.request.Request(
            f"{url}/v1/analyses", data=body, headers={"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=SOON_S) as answer:
            assert answer.status == 202
        assert any(json.loads(line).get("percent") == 60 for line in server.stdout)
        server.send_signal(signal.SIGTERM)
        out, _ = server.communicate(timeout=10)
    assert server.returncode == ExitCode.INTERRUPTED
    assert json.loads(out.splitlines()[-1])["message"] == "Stopped by the server's shutdown"
    record = json.loads((tmp_path / "results" / "s" / "work" / "attempt.json").read_text())
    assert (record["state"], record["holder"]) == ("interrupted", "")
    assert list((tmp_path / "results" / "s" / "work" / "segments").iterdir()) != []
