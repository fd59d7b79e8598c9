"""What a container needs of this machine that a person starts by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lifecycle.domain.hand_run import HandRun
    from lifecycle.domain.models import ModelSet


class HandRuns(Protocol):
    """Beside capctl.yaml."""

    def prepare(self, models: ModelSet | None) -> HandRun:
        """Make the folder for results, and what tells the container which models it sees; `models` is the locked set.

        Without one, or with models that are not on this machine, the mounts name places that do not exist.
        """
