"""What came of a release so far, stage by stage, also when it fails in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lifecycle.domain.shipment import Outcome, Shipment, Stage, StageName, outcome_of
from lifecycle.errors import CapctlError

if TYPE_CHECKING:
    from lifecycle.domain.ami import AmiId
    from lifecycle.domain.checkout import Checkout
    from lifecycle.domain.image import ImageRef
    from lifecycle.domain.release import Pointer
    from lifecycle.domain.smoke import SmokeReport
    from lifecycle.ports.clock import Clock


class ShipmentLog:
    """Written by the stages as they come; `shipment` may be asked at any moment. A stage may be entered twice: to plan, and to do."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seconds = dict.fromkeys(StageName, 0.0)
        self._ends: dict[StageName, tuple[Outcome, str]] = {}
        self._failure: CapctlError | None = None
        self.release_id = ""
        self.ami: AmiId | None = None
        self.image: ImageRef | None = None
        self.source: Checkout | None = None
        self.before: Pointer | None = None
        self.after: Pointer | None = None
        self.smoke: SmokeReport | None = None
        self.warnings: tuple[str, ...] = ()

    @contextmanager
    def stage(self, name: StageName) -> Iterator[None]:
        """Count the seconds of a stage, and keep what it fails with."""
        begun = self._clock.monotonic()
        try:
            yield
        except CapctlError as failure:
            self._failure = failure
            self.smoke = failure.evidence.get("smoke", self.smoke)
            self.end(name, outcome_of(failure), failure.code)
            raise
        except Exception as error:
            self.end(name, Outcome.FAILED, type(error).__name__)
            raise
        finally:
            self._seconds[name] += self._clock.monotonic() - begun

    def end(self, name: StageName, outcome: Outcome, told: str) -> None:
        """What a stage came to, also in a few words."""
        self._ends[name] = outcome, told

    @property
    def shipment(self) -> Shipment:
        """All of it so far."""
        return Shipment(
            stages=tuple(self._stage(name) for name in StageName),
            release_id=self.release_id,
            ami=self.ami,
            image=self.image,
            source=self.source,
            before=self.before,
            after=self.after,
            smoke=self.smoke,
            warnings=self.warnings,
            failure=self._failure,
        )

    def _stage(self, name: StageName) -> Stage:
        outcome, told = self._ends.get(name, (Outcome.NOT_REACHED, ""))
        return Stage(name=name, outcome=outcome, seconds=self._seconds[name], told=told)
