"""One bake as it is followed line by line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import packer
from lifecycle.adapters.packer_leftovers import BakeTraces
from lifecycle.adapters.packer_output import Mask, Record, parse
from lifecycle.adapters.run_leases import Lease
from lifecycle.errors import CapctlError
from lifecycle.ports.ui import Ui

# Where a bake spends its time; the rest of what Packer says is for `-v` and the log.
_PHASES = (
    "Launching a source AWS instance",
    "Waiting for SSH",
    "Provisioning with shell script: " + str(packer.PROVISIONERS[0].parent.parent),
    "Stopping the source instance",
    "Creating AMI ",
    "Waiting for AMI",
    "Terminating the source AWS instance",
)
_SCRIPT_FOLDER = re.compile(r"with shell script: .*/")


class BakeWatch:
    """The output of one bake and what is made of it: the log, the person at the terminal, the evidence, the traces in EC2."""

    def __init__(
        self,
        log: Path,
        mask: Mask,
        evidence: Path,
        accept: Callable[[dict[str, Any]], None],
        lease: Lease,
        ui: Ui,
    ) -> None:
        self._log = _opened(log)
        self._mask = mask
        self._evidence = evidence
        self._accept = accept
        self._is_reported = False
        self.is_accepted = False
        self._lease = lease
        self._ui = ui
        self.lines: list[str] = []
        self.phase = ""
        self.traces = BakeTraces()

    def __enter__(self) -> BakeWatch:
        return self

    def __exit__(self, *_: object) -> None:
        self._log.close()

    def line(self, raw: str) -> None:
        record = parse(raw)
        text = self._mask(record.text if record else raw.rstrip("\n"))
        if record is None or record.kind or record.type == "error":
            self._log.write(text + "\n")
            self._log.flush()
            self.lines.append(text)
            self.traces.look(text)
            self._lease.name(self.traces.all)
            self._tell(record, text)
        self._look_for_evidence()

    def require_accepted(self) -> None:
        """Raises `CapctlError("bake-failed")` if the instance did not report."""
        self._look_for_evidence()  # it may have come after the last line
        if not self.is_accepted:
            raise CapctlError(
                "bake-failed",
                "The instance did not report what it holds",
                hint="Bake again, with `-v` to see its output",
            )

    def _look_for_evidence(self) -> None:
        if not self._is_reported and (evidence := self._downloaded()) is not None:
            self._is_reported = True
            self._accept(evidence)
            self.is_accepted = True

    def _downloaded(self) -> dict[str, Any] | None:
        try:
            evidence: dict[str, Any] = json.loads(self._evidence.read_text())
        except (OSError, ValueError):  # not downloaded yet, or not to its end
            return None
        return evidence

    def _tell(self, record: Record | None, text: str) -> None:
        if record is not None and record.kind == "say" and text.startswith(_PHASES):
            phase = _SCRIPT_FOLDER.sub("with ", text)
            # That is also how Packer cleans up after a timeout, which came in the phase before.
            self.phase = self.phase if phase.startswith("Terminating") else phase.rstrip(".")
            self._ui.note(phase)
        else:
            self._ui.detail(text)


def _opened(log: Path) -> TextIO:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch(mode=0o600)
        return log.open("a")  # one run may bake more than once, where AWS has no capacity
    except OSError as error:
        raise CapctlError(
            "log-unwritable",
            f"The log `{log}` cannot be written: {error.strerror}",
            hint="Make the folder of capctl.yaml writable, or run capctl elsewhere",
        ) from error
