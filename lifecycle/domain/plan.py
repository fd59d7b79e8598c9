"""What a command is about to do, as data: the plan that `--dry-run` prints is the plan that a run executes."""

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, TypeVar

from lifecycle.domain.visible import visible
from lifecycle.errors import CapctlError

T = TypeVar("T")


class Step(Protocol[T]):
    """One mutation of the world.

    A step finds its subject by deterministic name, so that a command that was killed can run again: `apply` goes on from what
    exists, and steps share nothing but the world.
    """

    @property
    def permissions(self) -> tuple[str, ...]:
        """IAM actions that `apply` and `verify` need, such as `ec2:CreateImage`."""

    def describe(self) -> str:
        """One line: verb, object, from -> to."""

    def apply(self) -> T:
        """Do it. Returns what came of it, which as text is the outcome in a few words; raises `CapctlError`."""

    def verify(self, result: T, /) -> None:
        """Read back what `apply` set. Raises `CapctlError` if the world disagrees."""


class Nothing(str):
    """The result of an undo step that found nothing to undo, and why."""


class Guard(Protocol):
    """What holds while a plan runs, such as the turn to change something, and what is told of its steps to others."""

    def __enter__(self) -> object: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Told how the plan ended."""

    def before(self, step: Step[Any]) -> None:
        """Told of each step, before anything of it is done. Raises `CapctlError` when it may not be done any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Steps in order, what follows once they are done, and what restores the former state.

    `because` says why something, or nothing, is to be done, in one phrase, and `details` tell it line by line. `after` lies beyond the
    point of no return: a failure there takes nothing back and fails no command. `undo` is applied when one of `steps` ends in a verdict
    (`CapctlError.is_verdict`); it is one flat list, whichever step that was, since every undo step looks itself at what there is to
    undo, and returns `Nothing` where there was none. With `goes_on` a step that fails stops no other: they need nothing of each other.
    `guard` holds from before the first step, if there is one, until after the last.
    """

    title: str
    because: str
    steps: tuple[Step[Any], ...] = ()
    after: tuple[Step[Any], ...] = ()
    undo: tuple[Step[Any], ...] = ()
    details: tuple[str, ...] = ()
    goes_on: bool = False
    guard: Guard | None = None

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self.steps and not self.after

    def render(self) -> str:
        """The plan as text, numbered, for people."""
        lines = [f"Plan: {self.title}", f"  because {self.because}"]
        lines += [f"    {line}" for line in self.details]
        lines += [f"  {number}. {step.describe()}" for number, step in enumerate(self.steps, 1)]
        if self.after:
            lines += ["  then, where a failure is a warning only:"]
            lines += [f"  {number}. {step.describe()}" for number, step in enumerate(self.after, len(self.steps) + 1)]
        if self.undo:
            lines += ["  if what was tried proves bad:"]
            lines += [f"  - {step.describe()}" for step in self.undo]
        return "\n".join(map(visible, lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of each step of a plan that ran to its end; `failures` are of steps in `Plan.after`, or of a
    plan that goes on."""

    results: tuple[tuple[Step[Any], Any], ...] = ()
    failures: tuple[tuple[Step[Any], CapctlError], ...] = ()

    def of(self, kind: type[Step[T]]) -> T:
        """The result of the step of this class, which the plan had; raises `LookupError` when it had none."""
        result = self.find(kind)
        if result is None:
            raise LookupError(f"no {kind.__name__} among {[type(step).__name__ for step, _ in self.results]}")
        return result

    def find(self, kind: type[Step[T]]) -> T | None:
        """The result of the step of this class; None when the plan had none, or it failed."""
        return next((result for step, result in self.results if isinstance(step, kind)), None)
