"""A release's daily commands, on one stage: a code push beside the container engine's, and commands that find nothing to do."""

import json
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from lifecycle.adapters.terminal import TerminalUi
from lifecycle.rehearsal.stage import Stage, open_stage
from tests.bench.engine_push import EnginePush, builders
from tests.bench.figures import Figure
from tests.bench.startup import CAPCTL
from tests.bench.timing import Pair, paired, run, seconds

ROUNDS = 9
UNCHANGED_ROUNDS = 5
PUSH_BOUND = 3
REQUESTS_BOUND = 6
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
    figures, answers = [], []
    url, base, code = stage.addresses.registry_url, _base(stage), stage.project.folder / PACKAGE
    for builder, code_last in product(builders(), (False, True)):
        with EnginePush(builder, url, base, code, code_last=code_last) as engine:
            times = []
            for _ in range(ROUNDS + 1):
                stage.project.append(f"{PACKAGE}/__init__.py", "# one more line\n", message="Add a line")
                times.append((seconds(engine.push), seconds(lambda: answers.append(_capctl(stage, "image", "push")))))
        order = "code last" if code_last else "code before the metadata"
        figures.append(
            _faster(f"{builder.name}, {order}", paired(times[1:]), bound=PUSH_BOUND if builder.is_classic else None)
        )
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


def _faster(builder: str, pair: Pair, *, bound: float | None) -> Figure:
    return Figure(
        name=f"one-line change: `docker build` + `docker push` ({builder}) / `capctl image push`",
        measured=f"{pair.ratio:.1f} ({pair.first_s * 1e3:.0f} ms / {pair.second_s * 1e3:.0f} ms)",
        bound=f">= {bound}" if bound else "none",
        met=pair.ratio >= bound if bound else None,
    )


def _unchanged_push(stage: Stage) -> Figure:
    answers: list[dict[str, Any]] = []
    took_s = median(seconds(lambda: answers.append(_capctl(stage, "image", "push"))) for _ in range(UNCHANGED_ROUNDS))
    requests = max(answer["requests"] for answer in answers)
    return Figure(
        name="HTTP requests of an unchanged push",
        measured=f"{requests} ({took_s * 1e3:.0f} ms)",
        bound="<= 2",
        met=requests <= 2 and not any(answer["changed"] for answer in answers),
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
