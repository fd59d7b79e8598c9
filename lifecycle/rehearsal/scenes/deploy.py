"""What befalls deploys: a kill, two at once, a release that only real work proves bad; and the way back."""

import time
from typing import Any

from lifecycle.errors import ExitCode
from lifecycle.rehearsal.beside import beside
from lifecycle.rehearsal.commands import Answer, Capctl
from lifecycle.rehearsal.project import SMOKE_VIDEO
from lifecycle.rehearsal.recorder import Recorder
from lifecycle.rehearsal.scenes.parts import (
    bake_and_verify,
    bootstrap,
    expect,
    lock_and_push,
    make_base,
    real_job,
    store_video,
)
from lifecycle.rehearsal.stage import Stage

# Long enough for a message to come meanwhile.
_WATCH_S = 15
_LOOKS, _LOOK_S = 200, 0.2


def play(stage: Stage, capctl: Capctl, record: Recorder) -> None:
    """Every step is a command that a user types; what it printed is checked here."""
    base = bootstrap(capctl, record)
    with beside(
        lambda apart: make_base(stage, capctl, apart, meanwhile=", while models and AMI were made"), capctl, record
    ):
        store_video(stage, record)
        lock_and_push(stage, capctl, record)
        bake_and_verify(stage, capctl, record)
    first = _killed(stage, capctl, record)
    second = _two_at_once(stage, capctl, record)
    _dead_letter(stage, capctl, record, queue_url=base["dead_letters_url"], active=second)
    _back(capctl, record, to=first)


def _killed(stage: Stage, capctl: Capctl, record: Recorder) -> str:
    with record.step("image push", stage.standins.registry) as step:
        step.result = str(capctl("image", "push").document["tag"])
    with record.step("deploy, killed", *real_job(stage)) as step:
        capctl.kill("deploy", "--yes", at="smoke release")
        event = _events(capctl)[0]
        expect(
            (event["outcome"], event["stage"]) == ("killed", "smoke"), f"history must tell of the kill, found {event}"
        )
        step.result = f"history: release {event['release_id']} was killed at {event['stage']}"
    with record.step("deploy --resume", *real_job(stage)) as step:
        stage.project.append("analyzer/__init__.py", "# written meanwhile\n", message="Write on")
        resumed = capctl("deploy", "--resume", "--yes").document["pointer"]["release_id"]
        expect(resumed == event["release_id"], "what was begun must be resumed, whatever the code is by now")
        step.result = f"release {resumed} is active, though the code is another by now"
    return str(resumed)


def _two_at_once(stage: Stage, capctl: Capctl, record: Recorder) -> str:
    with record.step("image push of what is new", stage.standins.registry) as step:
        step.result = str(capctl("image", "push").document["tag"])

    def deploy(apart: Recorder) -> None:
        with apart.step("deploy the change", *real_job(stage)) as step:
            made = capctl("deploy", "--yes").document["pointer"]["release_id"]
            step.result = f"release {made} is active"

    with beside(deploy, capctl, record), record.step("deploy at the same time") as step:
        _await(capctl, outcome="running")
        refused = capctl("deploy", "--yes", expect=ExitCode.FAILED).document
        expect(refused["code"] == "deploy-locked", f"only one may deploy at a time, found `{refused['code']}`")
        step.result = f"`{refused['code']}`, which names the other"
    return str(capctl("status").document["pointer"]["release_id"])


def _dead_letter(stage: Stage, capctl: Capctl, record: Recorder, *, queue_url: str, active: str) -> None:
    with record.step("another change, image push", stage.standins.registry) as step:
        stage.project.append("analyzer/__init__.py", "# bad for real work\n", message="Break it for real work")
        step.result = str(capctl("image", "push").document["tag"])
    stage.project.configure("watch", "duration_s", _WATCH_S)
    answers: list[Answer] = []
    waiting = ""

    def deploy(_: Recorder) -> None:
        answers.append(capctl("deploy", "--yes", expect=ExitCode.ROLLED_BACK))

    with record.step("deploy, a dead letter comes", *real_job(stage)) as step:
        with beside(deploy, capctl, record):
            _await(capctl, outcome="running", stage="watch")
            waiting = _job_that_waits(stage, capctl)
            stage.client("sqs").send_message(QueueUrl=queue_url, MessageBody="nobody could work this off")
        (answer,) = answers
        pointer = capctl("status").document["pointer"]
        expect(
            answer.document["code"] == "watch-failed", f"the watch must have failed, found `{answer.document['code']}`"
        )
        expect(pointer["release_id"] == active, f"the pointer must name {active} again")
        step.result = f"exit {answer.exit_code}, `{answer.document['code']}`: the pointer names {active} again"
    with record.step("a job that waited on the bad release", *real_job(stage)) as step:
        view = capctl("job", "show", waiting).document
        moved = view["moved_to"] or {}
        expect(moved.get("release_id") == active, f"the waiting job must have gone to {active}, found {view}")
        capctl("job", "logs", moved["job_id"], "--follow")
        step.result = f"runs as job {moved['job_id']} on {active}, and succeeds"


def _job_that_waits(stage: Stage, capctl: Capctl) -> str:
    """A job on the release that is being watched, which gets no hosts any more."""
    releases = capctl("status").document["releases"]
    environment = next(one["compute_environment_arn"] for one in releases if one["role"] == "active")
    stage.client("batch").update_compute_environment(computeEnvironment=environment, state="DISABLED")
    return str(capctl("job", "submit", "--video", SMOKE_VIDEO).document["id"])


def _back(capctl: Capctl, record: Recorder, *, to: str) -> None:
    with record.step("rollback") as step:
        pointer = capctl("rollback", "--yes", "--reason", "tracks are lost").document["pointer"]
        expect(pointer["release_id"] == to, f"the pointer must name {to} again")
        step.result = f"the pointer names {to} again"
    with record.step("history") as step:
        told = [f"{event['what']} {event['outcome']}" for event in _events(capctl)]
        # Newest first.
        expected = ["rollback promoted", "deploy rolled-back", "deploy promoted", "deploy promoted", "deploy killed"]
        expect(told == expected, f"the history must tell all of it, found {told}")
        step.result = ", ".join(reversed(told))


def _events(capctl: Capctl) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = capctl("history").document["events"]
    return events


def _await(capctl: Capctl, **wanted: str) -> None:
    """Return once the newest event of the history is as wanted. Raises `CapctlError("rehearsal-check")` when it does not come to that."""
    for _ in range(_LOOKS):
        events = _events(capctl)
        if events and wanted.items() <= events[0].items():
            return
        time.sleep(_LOOK_S)
    expect(False, f"the newest deployment must have come to {wanted}, found {events[:1]}")
