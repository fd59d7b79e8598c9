"""A release's daily commands, on one stage: a code push beside the engine's and beside crane's, and commands that find nothing to do."""

import json
import shutil
import sysconfig
from collections.abc import Callable
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from lifecycle.adapters.terminal import TerminalUi
from lifecycle.rehearsal.stage import Stage, open_stage
from tests.bench.crane_push import CranePush
from tests.bench.engine_push import EnginePush, builders
from tests.bench.far_registry import relayed
from tests.bench.figures import Figure
from tests.bench.startup import CAPCTL
from tests.bench.timing import Pair, paired, run, seconds
from tests.built_tools import crane_program

ROUNDS = 9
UNCHANGED_ROUNDS = 5
BUILDKIT_BOUND = 3
CLASSIC_BOUND = 4
CRANE_BOUND = 1.5
ROUND_TRIP_S = 0.02
_FAR = f"the registry {ROUND_TRIP_S * 1e3:.0f} ms away"
REQUESTS_BOUND = 6
UNCHANGED_REQUESTS_BOUND = 2
SENT_BOUND_BYTES = 400_000
BAKE_BOUND_S = 1
# The one line lies here; the engine's image gets the folder under the same name.
PACKAGE = "analyzer"


def release_figures() -> list[Figure]:
    """Bring a stage up with a base image and an AMI, then measure on it."""
    with open_stage(TerminalUi(verbosity=-1, assume_yes=True)) as stage:
        for words in (("bootstrap",), ("models", "lock"), ("models", "push"), ("ami", "bake"), ("image", "base")):
            _capctl(stage, *words)
        return [*_code_push(stage), _unchanged_push(stage), *_unchanged_bake(stage)]


def _code_push(stage: Stage) -> list[Figure]:
    pushed = _capctl(stage, "image", "push")
    # As after the first `image verify`, of which a push remembers what the base has.
    _capctl(stage, "image", "explain")
    figures: list[Figure] = []
    answers: list[dict[str, Any]] = []
    url, base, code = stage.addresses.registry_url, _base(stage), stage.project.folder / PACKAGE
    for builder, code_last in product(builders(), (False, True)):
        with EnginePush(builder, url, base, code, code_last=code_last) as engine:
            pair = _changed_in_turns(stage, engine.push, answers)
        order = "code last" if code_last else "code before the metadata"
        bound = CLASSIC_BOUND if builder.is_classic else BUILDKIT_BOUND
        figures.append(_faster(f"{builder.name}, {order}", pair, bound=bound))
    figures.append(_beside_crane(stage, url, base, code, answers))
    figures += _large_code_push(stage, url, base, code)
    figures += _far_code_push(stage, url, base, code, answers)
    requests, sent = (max(answer[key] for answer in answers) for key in ("requests", "bytes_sent"))
    return [
        *figures,
        Figure(
            name="HTTP requests of that push",
            measured=f"{requests} (the first push: {pushed['requests']})",
            bound=f"<= {REQUESTS_BOUND}",
            met=requests <= REQUESTS_BOUND,
        ),
        Figure(
            name="bytes sent by that push",
            measured=f"{sent / 1e3:.0f} kB",
            bound=f"<= {SENT_BOUND_BYTES / 1e3:.0f} kB",
            met=sent <= SENT_BOUND_BYTES,
        ),
    ]


def _large_code_push(stage: Stage, url: str, base: str, code: Path) -> list[Figure]:
    """The same with as much code as a system may have that ran out of a notebook: the modules of Python's own library, beside the job's."""
    library = code / "lib"
    library.mkdir()
    # No base has the windows that one of them draws in.
    sources = [file for file in Path(sysconfig.get_path("stdlib")).glob("*.py") if file.name != "turtle.py"]
    for source in sources:
        shutil.copy(source, library)
    stage.project.commit("Add a library")
    what = f"{sum(source.stat().st_size for source in sources) / 1e6:.1f} MB of code"
    _capctl(stage, "image", "push")
    try:
        figures = []
        for builder in builders():
            with EnginePush(builder, url, base, code, code_last=False) as engine:
                pair = _changed_in_turns(stage, engine.push, [])
            bound = CLASSIC_BOUND if builder.is_classic else BUILDKIT_BOUND
            figures.append(_faster(f"{builder.name}, code before the metadata, {what}", pair, bound=bound))
        return [*figures, _beside_crane(stage, url, base, code, [], where=f", {what}")]
    finally:
        shutil.rmtree(library)
        stage.project.commit("Remove the library")


def _far_code_push(stage: Stage, url: str, base: str, code: Path, answers: list[dict[str, Any]]) -> list[Figure]:
    """The same where each request takes as long as to a region that is not too near; on loopback the start of programs is most of it."""
    near = stage.project.configuration.read_text()
    with relayed(url, round_trip_s=ROUND_TRIP_S) as far:
        stage.project.configuration.write_text(near.replace(url, far))
        _capctl(stage, "image", "base")
        try:
            figures = []
            for builder in builders():
                with EnginePush(builder, far, base, code, code_last=False) as engine:
                    pair = _changed_in_turns(stage, engine.push, answers)
                bound = CLASSIC_BOUND if builder.is_classic else BUILDKIT_BOUND
                figures.append(_faster(f"{builder.name}, code before the metadata, {_FAR}", pair, bound=bound))
            return [*figures, _beside_crane(stage, far, base, code, answers, where=f", {_FAR}")]
        finally:
            stage.project.configuration.write_text(near)


def _changed_in_turns(stage: Stage, other: Callable[[], object], answers: list[dict[str, Any]]) -> Pair:
    """Change a line, push it the other way, push it by capctl, and again; the first round does not count."""
    times = []
    for _ in range(ROUNDS + 1):
        stage.project.append(f"{PACKAGE}/__init__.py", "# one more line\n", message="Add a line")
        times.append((seconds(other), seconds(lambda: answers.append(_capctl(stage, "image", "push")))))
    return paired(times[1:])


def _faster(builder: str, pair: Pair, *, bound: float) -> Figure:
    return Figure(
        name=f"one-line change: `docker build` + `docker push` ({builder}) / `capctl image push`",
        measured=f"{pair.ratio:.1f} ({pair.first_s * 1e3:.0f} ms / {pair.second_s * 1e3:.0f} ms)",
        bound=f">= {bound}",
        met=pair.ratio >= bound,
    )


def _beside_crane(
    stage: Stage, url: str, base: str, code: Path, answers: list[dict[str, Any]], *, where: str = ""
) -> Figure:
    name = f"one-line change: `capctl image push` / `git archive` + `crane append`{where}"
    bound = f"<= {CRANE_BOUND}"
    program = crane_program()
    if not program.exists():
        return Figure(name=name, measured="`crane` is not built; `make setup-test` does it", bound=bound)
    with CranePush(program, url, base, code) as other:
        pair = _changed_in_turns(stage, other.push, answers)
    return Figure(
        name=name,
        measured=f"{1 / pair.ratio:.2f} ({pair.second_s * 1e3:.0f} ms / {pair.first_s * 1e3:.0f} ms)",
        bound=bound,
        met=1 / pair.ratio <= CRANE_BOUND,
    )


def _unchanged_push(stage: Stage) -> Figure:
    answers: list[dict[str, Any]] = []
    took_s = median(seconds(lambda: answers.append(_capctl(stage, "image", "push"))) for _ in range(UNCHANGED_ROUNDS))
    requests = max(answer["requests"] for answer in answers)
    return Figure(
        name="HTTP requests of an unchanged push",
        measured=f"{requests} ({took_s * 1e3:.0f} ms)",
        bound=f"<= {UNCHANGED_REQUESTS_BOUND}",
        met=requests <= UNCHANGED_REQUESTS_BOUND and not any(answer["changed"] for answer in answers),
    )


def _unchanged_bake(stage: Stage) -> list[Figure]:
    before, answers = _instances(stage), []
    took_s = median(seconds(lambda: answers.append(_capctl(stage, "ami", "bake"))) for _ in range(UNCHANGED_ROUNDS))
    started = _instances(stage) - before
    return [
        Figure(
            name="unchanged bake",
            measured=f"{took_s * 1e3:.0f} ms",
            bound=f"< {BAKE_BOUND_S} s",
            met=took_s < BAKE_BOUND_S and not any(answer["changed"] for answer in answers),
        ),
        Figure(name="instances that it starts", measured=str(started), bound="0", met=started == 0),
    ]


def _capctl(stage: Stage, *words: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run(CAPCTL, "--output", "json", *words, environment=stage.environment))
    return document


def _base(stage: Stage) -> str:
    """`repository@sha256:…` of the base image, as the registry of the stage names it."""
    return Path(str(_capctl(stage, "image", "base")["image"])).name


def _instances(stage: Stage) -> int:
    pages = stage.client("ec2").get_paginator("describe_instances").paginate()
    return sum(len(reservation["Instances"]) for page in pages for reservation in page["Reservations"])
