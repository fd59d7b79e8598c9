"""Play a scene on a stage of its own, and report."""

from __future__ import annotations

import shlex
import time
from collections.abc import Set
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from lifecycle.errors import CapctlError, Interrupted
from lifecycle.ports.ui import Ui
from lifecycle.rehearsal.commands import Capctl
from lifecycle.rehearsal.machine import REHEARSAL_VARIABLE
from lifecycle.rehearsal.memory import PeakMemory
from lifecycle.rehearsal.recorder import Recorder
from lifecycle.rehearsal.report import Report
from lifecycle.rehearsal.stage import end_abandoned_stages, end_idle_stages, open_stage

# Variables of the person's own AWS set-up that would win over the stage's.
_UNSET = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE")


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
        lines = [f"unset {' '.join(_UNSET)}"]
        lines += [f"export {name}={shlex.quote(value)}" for name, value in (self.environment or {}).items()]
        return "\n".join(lines) if self.environment else ""


def perform(
    scene: str, ui: Ui, *, keep: bool = False, without: Set[str] = frozenset(), report_folder: Path | None = None
) -> Outcome:
    """Bring a stage up, play `scene`, end the stage. A failing step ends the scene and is in the report.

    `without` names the parts that shall be stand-ins even if they could be real.
    """
    if report_folder:
        report_folder.mkdir(parents=True, exist_ok=True)  # fails now, not after the last scene
    for identifier in end_abandoned_stages():
        ui.note(f"Removed what rehearsal {identifier} left behind")
    play = import_module(f"lifecycle.rehearsal.scenes.{scene}").play
    recorder, started = Recorder(ui), time.monotonic()
    failure: CapctlError | None = None
    environment = None
    with PeakMemory() as memory:
        try:
            with open_stage(ui, recorder=recorder, keep=keep, without=without) as stage:
                memory.watch(f"{REHEARSAL_VARIABLE}={stage.id}")
                play(stage, Capctl(stage.environment, log=stage.folder / "commands.log", unset=_UNSET), recorder)
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
    return Outcome(report=report, environment=environment, failure=failure)


def end_all(ui: Ui) -> tuple[str, ...]:
    """End every rehearsal that was kept or killed; returns their ids."""
    ended = end_idle_stages()
    for identifier in ended:
        ui.note(f"Ended rehearsal {identifier}")
    return ended
