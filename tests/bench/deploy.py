"""What shipping a release costs: the preview beside bare Pulumi's, the whole way of a changed line, promotion, the way back, the status."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from pulumi import automation
from semver import VersionInfo

from lifecycle.adapters.pulumi_auto import PulumiStack
from lifecycle.adapters.pulumi_change import ReleasesChange
from lifecycle.adapters.pulumi_cli import VERSION, find_pulumi
from lifecycle.adapters.terminal import TerminalUi
from lifecycle.app import App, application, begin_run
from lifecycle.config.load import load_target
from lifecycle.rehearsal.project import BUCKET, SMOKE_VIDEO
from lifecycle.rehearsal.samples import make_video
from lifecycle.rehearsal.stage import Stage, open_stage
from lifecycle.workflows.deploy import plan_deploy
from lifecycle.workflows.move_pointer import MovePointer
from lifecycle.workflows.wanted_release import Wanted, wanted_release
from tests.bench.figures import Figure
from tests.bench.startup import CAPCTL
from tests.bench.timing import in_turns, run, seconds

RELEASES = 3
ROUNDS = 5
PREVIEW_BOUND = 1.3
DEPLOY_BOUND_S = 20
MOVE_BOUND_S, MOVE_CALLS_BOUND = 1, 3
STATUS_CALLS_BOUND = 10
_QUIET = TerminalUi(verbosity=-1, assume_yes=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cost:
    """Medians of several rounds: wall time, and how often AWS was asked."""

    took_s: float
    calls: int


def deploy_figures() -> list[Figure]:
    """Bring a stage up with as many releases as `status` is held to, then measure on it."""
    with open_stage(_QUIET) as stage:
        deploys_s = _ship(stage)
        with _environment(stage):
            figures = [_beside_bare_preview(stage), _code_change(deploys_s), *_moves(stage)]
        return [*figures, _status(stage)]


def _ship(stage: Stage) -> list[float]:
    """Make what releases need and ship some; returns how long each changed line took from the push to the pointer, in seconds."""
    for words in (("bootstrap",), ("models", "lock"), ("models", "push"), ("ami", "bake"), ("image", "base")):
        _capctl(stage, *words)
    video = stage.folder / "portrait.mp4"
    make_video(video)
    stage.client("s3").upload_file(str(video), BUCKET, SMOKE_VIDEO.removeprefix(f"s3://{BUCKET}/"))
    stage.project.configure("stack", "keep_releases", RELEASES)

    def ship() -> None:
        _capctl(stage, "image", "push")
        _capctl(stage, "deploy", "--yes")

    # The first release makes the engine pull the base, which no changed line does again.
    ship()
    took_s = []
    for _ in range(RELEASES - 1):
        _change_a_line(stage)
        took_s.append(seconds(ship))
    return took_s


def _code_change(took_s: list[float]) -> Figure:
    return Figure(
        name="one-line change: `capctl image push` + `capctl deploy`, smoke job included",
        measured=f"{median(took_s):.1f} s",
        bound=f"<= {DEPLOY_BOUND_S} s",
        met=median(took_s) <= DEPLOY_BOUND_S,
    )


def _beside_bare_preview(stage: Stage) -> Figure:
    """The same program on the same state: a release beside those that stand."""
    _change_a_line(stage)
    _capctl(stage, "image", "push")
    app = _app(stage)
    release = wanted_release(app, app.target, Wanted())
    with _bare_stack(app) as (stack, state):
        program = ReleasesChange.from_state(state, added=release).program(app.target, app.stack.base(), state)
        pair = in_turns(
            lambda: _app(stage).stack.preview_release(release),
            lambda: stack.preview(program=program),
            rounds=ROUNDS,
        )
    return Figure(
        name=f"preview of `capctl deploy --dry-run` beside {RELEASES} releases / bare `pulumi preview`",
        measured=f"{pair.ratio:.2f} ({pair.first_s:.2f} s / {pair.second_s:.2f} s)",
        bound=f"<= {PREVIEW_BOUND}",
        met=pair.ratio <= PREVIEW_BOUND,
    )


@contextmanager
def _bare_stack(app: App) -> Iterator[tuple[automation.Stack, dict[str, Any]]]:
    """The releases stack, selected, as the Automation API by itself gives it, and its state."""
    capctl_stack = app.stack
    assert isinstance(capctl_stack, PulumiStack)
    environment = capctl_stack._engine._environment
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "root", "bin", "pulumi")
        program.parent.mkdir(parents=True)
        program.symlink_to(find_pulumi(environment["PATH"]))
        options = automation.LocalWorkspaceOptions(
            work_dir=folder,
            env_vars=environment,
            pulumi_command=automation.PulumiCommand(root=str(program.parents[1]), version=VersionInfo.parse(VERSION)),
        )
        name = f"{app.target.name}-releases"
        stack = automation.select_stack(name, project_name=app.target.project, program=lambda: None, opts=options)
        yield stack, capctl_stack._engine.current("releases")


def _moves(stage: Stage) -> list[Figure]:
    """The way back as its command, and the step by which a deploy promotes a release that has passed, again and again."""
    rollbacks, promotions = [], []
    active = _capctl(stage, "status")["pointer"]
    image = _image_of(stage, active["release_id"])
    for _ in range(ROUNDS):
        rollbacks.append(
            _cost(stage, lambda: _capctl(stage, "rollback", "--to", active["previous_release_id"], "--yes"))
        )
        app = _app(stage)
        plan = plan_deploy(app, app.target, begin_run("capctl deploy", reason=""), Wanted(image=image))
        (step,) = (each for each in plan.steps if isinstance(each, MovePointer))
        promotions.append(_cost(stage, lambda step=step: step.verify(step.apply())))  # type: ignore[misc]
    return [
        *_moved("`capctl rollback`", _median(rollbacks)),
        *_moved("promotion, the step of `capctl deploy`", _median(promotions)),
    ]


def _moved(what: str, cost: _Cost) -> list[Figure]:
    return [
        Figure(
            name=what,
            measured=f"{cost.took_s * 1e3:.0f} ms",
            bound=f"<= {MOVE_BOUND_S} s",
            met=cost.took_s <= MOVE_BOUND_S,
        ),
        Figure(
            name=f"AWS calls of {what}",
            measured=str(cost.calls),
            bound=f"<= {MOVE_CALLS_BOUND}",
            met=cost.calls <= MOVE_CALLS_BOUND,
        ),
    ]


def _status(stage: Stage) -> Figure:
    documents: list[dict[str, Any]] = []
    cost = _median([_cost(stage, lambda: documents.append(_capctl(stage, "status"))) for _ in range(ROUNDS)])
    count = min(len(document["releases"]) for document in documents)
    return Figure(
        name=f"AWS calls of `capctl status` with {count} releases",
        measured=f"{cost.calls} ({cost.took_s * 1e3:.0f} ms)",
        bound=f"<= {STATUS_CALLS_BOUND}",
        met=cost.calls <= STATUS_CALLS_BOUND and count == RELEASES,
    )


def _cost(stage: Stage, action: Callable[[], object]) -> _Cost:
    before, started = _calls(stage), time.perf_counter()
    action()
    took_s = time.perf_counter() - started
    return _Cost(took_s=took_s, calls=_calls(stage) - before)


def _median(costs: list[_Cost]) -> _Cost:
    return _Cost(took_s=median(cost.took_s for cost in costs), calls=max(cost.calls for cost in costs))


def _calls(stage: Stage) -> int:
    """How often the emulator was asked so far."""
    return len((stage.folder / "emulator" / "calls.jsonl").read_bytes().splitlines())


def _image_of(stage: Stage, release_id: str) -> str:
    (found,) = (one for one in _app(stage).stack.releases() if one.id == release_id)
    return str(found.image.digest)


def _change_a_line(stage: Stage) -> None:
    stage.project.append("analyzer/__init__.py", "# one more line\n", message="Add a line")


def _app(stage: Stage) -> App:
    """All ports, as a command has them that has asked nothing yet."""
    target = load_target(stage.project.configuration, None, environment=os.environ)
    return application(target, _QUIET, command="capctl deploy")


@contextmanager
def _environment(stage: Stage) -> Iterator[None]:
    """What a command of the stage has around it, for the ports of this process."""
    before = dict(os.environ)
    os.environ.update(stage.environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _capctl(stage: Stage, *words: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run(CAPCTL, "--output", "json", *words, environment=stage.environment))
    return document
