"""Play a scene on a stage of its own, and report."""

from __future__ import annotations

import time
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifecycle.errors import CapctlError, Interrupted, UsageError
from lifecycle.ports.ui import Ui
from lifecycle.rehearsal.commands import Capctl
from lifecycle.rehearsal.machine import REHEARSAL_VARIABLE
from lifecycle.rehearsal.memory import PeakMemory
from lifecycle.rehearsal.recorder import Recorder
from lifecycle.rehearsal.report import Report
from lifecycle.rehearsal.scenes import MAIN, ami, analyzer, deploy, first, image, release
from lifecycle.rehearsal.shell import UNSET, enter_lines
from lifecycle.rehearsal.stage import Stage, end_stage, open_stage
from lifecycle.rehearsal.stage_folders import abandoned_stages, kept_stages, log_of

PLAYS: dict[str, Callable[[Stage, Capctl, Recorder], None]] = {
    "release": release.play,
    "first": first.play,
    "deploy": deploy.play,
    "ami": ami.play,
    "image": image.play,
    "analyzer": analyzer.play,
}
# What a kept stage has to try, by the scene that was played on it; of its folder and its id.
TO_TRY: dict[str, Callable[[Path, str], str]] = {
    "release": release.to_try,
    "first": first.to_try,
    "image": image.to_try,
    "analyzer": analyzer.to_try,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The report; the environment of a stage that was kept, else None; and what failed."""

    report: Report
    environment: dict[str, str] | None
    failure: CapctlError | None

    def document(self) -> dict[str, Any]:
        """The report's document, with the `environment` in which every command works on a stage that was kept."""
        return self.report.document() | ({"environment": self.environment} if self.environment else {})

    def exports(self) -> str:
        """The environment as lines for a shell's `eval`; "" when nothing was kept."""
        return enter_lines(self.environment) if self.environment else ""


def perform(
    ui: Ui,
    *,
    scene: str = MAIN,
    keep: bool = False,
    without: Set[str] = frozenset(),
    report_folder: Path | None = None,
) -> Outcome:
    """Bring a stage up, play a scene of `SCENES`, end the stage. A failing step ends the scene and is in the report.

    `without` names the parts that shall be stand-ins even if they could be real.
    """
    if report_folder:
        report_folder.mkdir(parents=True, exist_ok=True)  # fails now, not after the scene
    look_around(ui, keep=keep)
    recorder, started = Recorder(ui), time.monotonic()
    failure: CapctlError | None = None
    environment = None
    recorder.head()
    with PeakMemory() as memory:
        try:
            with open_stage(ui, recorder=recorder, keep=keep, without=without) as stage:
                memory.watch(f"{REHEARSAL_VARIABLE}={stage.id}")
                capctl = Capctl(stage.environment, log=log_of(stage.id), unset=UNSET)
                PLAYS[scene](stage, capctl, recorder)
                environment = stage.environment if keep else None
        except Interrupted:
            raise
        except CapctlError as error:
            failure = error
    report = Report(
        ok=failure is None,
        seconds=time.monotonic() - started,
        peak_rss_bytes=memory.peak_bytes,
        steps=tuple(recorder.rows),
    )
    if report_folder:
        report.write(report_folder)
        ui.note(f"Wrote {report_folder / 'report.md'} and {report_folder / 'report.json'}")
    if environment:
        _tell_what_next(environment, ui, scene)
    return Outcome(report=report, environment=environment, failure=failure)


def look_around(ui: Ui, *, keep: bool) -> None:
    """End what was killed; before one more stage is kept, say which ones are up."""
    for identifier in abandoned_stages():
        end_stage(identifier)
        ui.note(f"Removed what rehearsal {identifier} left behind")
    for identifier in kept_stages() if keep else ():
        ui.warn(f"Rehearsal {identifier} is up too, until `capctl rehearse --down {identifier}`")


def end(ui: Ui, only: str | None = None) -> tuple[str, ...]:
    """End the rehearsal `only`, or every one that was kept or killed; returns the ids. One that is being played goes on.

    Raises: UsageError, when there is no such rehearsal to end.
    """
    there = (*kept_stages(), *abandoned_stages())
    if only and only not in there:
        raise UsageError(
            "rehearsal-missing",
            f"No rehearsal `{only}` was kept or killed",
            hint=f"There is {' and '.join(f'`{one}`' for one in there)}" if there else "There is none to end",
        )
    ended = (only,) if only else there
    for identifier in ended:
        end_stage(identifier)
        ui.note(f"Ended rehearsal {identifier}")
    if not ended:
        ui.note("No rehearsal was up")
    return ended


def _tell_what_next(environment: dict[str, str], ui: Ui, scene: str) -> None:
    identifier, project = environment[REHEARSAL_VARIABLE], Path(environment["CAPCTL_CONFIG"]).parent
    ui.note(f"Project folder: {project}")
    if scene in TO_TRY:
        ui.note(TO_TRY[scene](project.parent, identifier))
    ui.note(f'Rehearsal {identifier} stays up until `eval "$(capctl rehearse --down {identifier})"`')
