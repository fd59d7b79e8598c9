"""The life of a job: cut off and gone on with, submitted again, taken from a queue, searched, and looked at."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from lifecycle.domain.job import contract
from lifecycle.domain.layout import Folder
from lifecycle.domain.measures import counted, size_text
from lifecycle.errors import CapctlError
from lifecycle.rehearsal.commands import Capctl
from lifecycle.rehearsal.ingest_queue import IngestQueue
from lifecycle.rehearsal.lost_host import host_of
from lifecycle.rehearsal.project import BUCKET
from lifecycle.rehearsal.queue_worker import SAMPLE_FPS, Worker, queue_worker
from lifecycle.rehearsal.recorder import Recorder
from lifecycle.rehearsal.samples import LONG_VIDEO_SECONDS, make_long_video
from lifecycle.rehearsal.scenes.parts import expect, real_job
from lifecycle.rehearsal.scenes.release import play_first
from lifecycle.rehearsal.scenes.results import PAGE, play_results
from lifecycle.rehearsal.sessions import Sessions
from lifecycle.rehearsal.stage import Stage

_VIDEO = "long.mp4"
_KEY = f"{Folder.SAMPLES}/{_VIDEO}"
_NO_VIDEO_KEY, _SENT_KEY = "videos/notes.mp4", f"videos/{_VIDEO}"
_CUT_OFF, _WHOLE = "cut-off", "uninterrupted"
_PATIENCE_S, _LOOK_S = 90, 0.1
_LAST_LINES = 5
_GONE_ON = re.compile(r"from segment (\d+)")

Found = TypeVar("Found")


def to_try(folder: Path, _identifier: str) -> str:
    """What a kept stage has for who types commands."""
    return f"Page of a result: {folder / PAGE}; `analyzer search --like {_WHOLE}/1` finds who looks alike"


def play(stage: Stage, capctl: Capctl, record: Recorder) -> None:
    """Every step is what a user does, or what befalls a job; what came of it is checked here."""
    play_first(stage, capctl, record)
    play_jobs(stage, capctl, record)


def play_jobs(stage: Stage, capctl: Capctl, record: Recorder) -> None:
    """On a stage with an active release."""
    sessions = Sessions(stage.addresses.database_url)
    _store_long_video(stage, record)
    _cut_off(stage, capctl, record, sessions)
    _uninterrupted(stage, capctl, record, sessions)
    _again(stage, capctl, record, sessions)
    _worker(stage, capctl, record, sessions)
    play_results(stage, record, session=_CUT_OFF, twin=_WHOLE, video=_VIDEO)


def _store_long_video(stage: Stage, record: Recorder) -> None:
    with record.step("long video") as step:
        video = stage.folder / _VIDEO
        make_long_video(video)
        stage.client("s3").upload_file(str(video), BUCKET, _KEY)
        step.result = f"{LONG_VIDEO_SECONDS} s, {size_text(video.stat().st_size)} of H.264 at s3://{BUCKET}/{_KEY}"


def _cut_off(stage: Stage, capctl: Capctl, record: Recorder, sessions: Sessions) -> None:
    with record.step("job, its host taken away", *real_job(stage)) as step:
        job = _submit(capctl, _CUT_OFF)
        host = _await(lambda: host_of(stage, job["id"]), "the job must get a host")
        _await(lambda: _committed(sessions, _CUT_OFF), "the job's first segment must be committed")
        host.lose()
        gone_on = _gone_on(_log(capctl, job["id"]))
        attempts = capctl("job", "show", job["id"]).document["attempts"]
        work = sessions.work(_CUT_OFF)
        expect(attempts == 2, f"the job must have been tried again once, found {counted(attempts, 'attempt')}")
        expect(work is not None and work.attempt == 2, f"the second attempt must have stored the rest, found {work}")
        expect(gone_on > 0, "the second attempt must not have begun again")
        rows = sessions.rows(_CUT_OFF)
        segments = len(rows[contract.Table.SEGMENTS])
        expect(gone_on < segments, f"the host must be lost before the end, not after all of {segments} segments")
        step.result = (
            f"{host.id} ended; attempt 2 went on behind {gone_on} of {counted(segments, 'segment')}; {_told(rows)}"
        )


def _uninterrupted(stage: Stage, capctl: Capctl, record: Recorder, sessions: Sessions) -> None:
    with record.step("the same video at one go", *real_job(stage)) as step:
        _log(capctl, _submit(capctl, _WHOLE)["id"])
        _expect_rows_of_whole(sessions, _CUT_OFF)
        step.result = f"{_told(sessions.rows(_WHOLE))}: those of the job that was cut off"


def _again(stage: Stage, capctl: Capctl, record: Recorder, sessions: Sessions) -> None:
    with record.step("the same job again", *real_job(stage)) as step:
        steps = [each.get("step") for each in _log(capctl, _submit(capctl, _WHOLE)["id"])]
        expect("analyse" not in steps, f"a session that is finished must not be analysed again, found {steps}")
        _expect_rows_of_whole(sessions, _CUT_OFF)
        step.result = f"found finished, nothing analysed; still {_told(sessions.rows(_WHOLE))}"


def _worker(stage: Stage, capctl: Capctl, record: Recorder, sessions: Sessions) -> None:
    s3, queue, url = stage.client("s3"), IngestQueue(stage), f"s3://{BUCKET}/{_SENT_KEY}"
    image = next(one["image"] for one in capctl("status").document["releases"] if one["role"] == "active")
    standins = (stage.standins.engine, stage.standins.registry)
    with queue_worker(stage, image, queue) as worker:
        with record.step("analyzer worker, no video", *standins) as step:
            s3.put_object(Bucket=BUCKET, Key=_NO_VIDEO_KEY, Body=b"Notes, not a video\n")
            told = _await(queue.take_letter, "what is no video must come to the dead letters", worker)
            expect(
                told["exit_code"] == str(int(contract.ExitCode.INPUT)), f"its letter must tell the exit code: {told}"
            )
            expect(_NO_VIDEO_KEY in told["reason"], f"its letter must name the video: {told}")
            step.result = f"in the dead letters, `{told['reason_code']}`, exit code {told['exit_code']}"
        with record.step("analyzer worker, SIGTERM", *standins) as step:
            s3.upload_file(str(stage.folder / _VIDEO), BUCKET, _SENT_KEY)
            session = _await(lambda: _begun(sessions, url), "the worker must take the video that was sent", worker)
            code = worker.stop()
            expect(
                code == contract.ExitCode.INTERRUPTED, f"a worker that is cut off must say so, found exit code {code}"
            )
            expect(queue.messages() == (1, 0), "the message must be back at once")
            step.result = f"exit code {code}; the message is back in the queue"
    with queue_worker(stage, image, queue) as worker, record.step("analyzer worker, the next", *standins) as step:
        _await(
            lambda: "deleted" in _names(worker), "the next worker must finish the video and delete its message", worker
        )
        gone_on, received = _gone_on(worker.events), _receives(worker)
        expect(gone_on > 0, "the next worker must not have begun again")
        expect(received == [2], f"it must have taken the message that came back, and no other, found {received}")
        expect(queue.messages() == (0, 0), "nothing may be left in the queue")
        _expect_rows_of_whole(sessions, session)
        code = worker.stop()
        expect(code == contract.ExitCode.OK, f"a worker that waits must end well, found exit code {code}")
        step.result = f"went on behind {counted(gone_on, 'segment')}; {_told(sessions.rows(session))}; message deleted"


def _submit(capctl: Capctl, session: str) -> dict[str, Any]:
    wanted = ("--session", session, "--env", f"{contract.Env.SAMPLE_FPS}={SAMPLE_FPS}")
    return capctl("job", "submit", "--video", f"s3://{BUCKET}/{_KEY}", *wanted).document


def _log(capctl: Capctl, job_id: str) -> list[dict[str, Any]]:
    """The events that all attempts of a job wrote, when the job has ended well."""
    lines = capctl("job", "logs", job_id, "--follow").document["lines"]
    return [json.loads(line["message"]) for line in lines if line["message"].startswith("{")]


def _gone_on(log: list[dict[str, Any]]) -> int:
    """The segment with which the last attempt began."""
    begun = [each["detail"] for each in log if each.get("step") == "analyse" and "detail" in each]
    found = _GONE_ON.fullmatch(begun[-1]) if begun else None
    return int(found[1]) if found else 0


def _committed(sessions: Sessions, session: str) -> bool:
    work = sessions.work(session)
    return bool(work and work.committed)


def _begun(sessions: Sessions, url: str) -> str | None:
    """The session of a video of which a segment is committed."""
    session = sessions.of_video(url)
    return session if session and _committed(sessions, session) else None


def _names(worker: Worker) -> set[str]:
    return {each["event"] for each in worker.events}


def _receives(worker: Worker) -> list[int]:
    """Of each message that the worker took, for which time it was taken."""
    return [each["receives"] for each in worker.events if each["event"] == "received"]


def _expect_rows_of_whole(sessions: Sessions, session: str) -> None:
    whole, found = sessions.rows(_WHOLE), sessions.rows(session)
    other = [table for table, rows in whole.items() if rows != found[table]]
    expect(not other, f"the rows of `{session}` and of `{_WHOLE}` must be the same, they differ in {', '.join(other)}")
    expect(bool(whole[contract.Table.TRACKS]), "there must be a track")


def _told(rows: dict[str, list[str]]) -> str:
    return f"{counted(sum(map(len, rows.values())), 'row')}, {counted(len(rows[contract.Table.TRACKS]), 'track')}"


def _await(look: Callable[[], Found | None], rule: str, worker: Worker | None = None) -> Found:
    """What `look` finds, once it finds anything.

    Raises `CapctlError("rehearsal-check")` when it does not come to that, with what the worker said last that was to bring it about.
    """
    until_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until_s:
        if found := look():
            return found
        time.sleep(_LOOK_S)
    raise CapctlError(
        "rehearsal-check",
        f"The rehearsal expected otherwise: {rule}",
        hint="Read the log of the rehearsal's commands",
        details=tuple(worker.lines[-_LAST_LINES:]) if worker else (),
    )
