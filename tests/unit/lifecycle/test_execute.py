"""Running a plan: apply, read back, write down; restore when what was tried proves bad."""

from dataclasses import dataclass, field, replace

import pytest

from lifecycle.domain.plan import Plan
from lifecycle.domain.run import Run
from lifecycle.errors import CapctlError, Denied, Inconclusive, Interrupted, PartlyApplied, RolledBack, TimedOut
from lifecycle.ports.journal import BEGUN, JournalEntry
from lifecycle.workflows.execute import execute
from tests.fakes.ports import FakePorts

RUN = Run(id="run-1", command="capctl deploy", user="me")


@dataclass(kw_only=True)
class World:
    done: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkStep:
    world: World
    name: str
    fails: CapctlError | None = None
    reads_back: bool = True
    permissions: tuple[str, ...] = ()

    def describe(self) -> str:
        return self.name

    def apply(self) -> str:
        if self.fails:
            raise self.fails
        self.world.done.append(self.name)
        return "marked"

    def verify(self, _: str) -> None:
        if not self.reads_back:
            raise CapctlError("not-set", f"{self.name} does not read back")


@dataclass(frozen=True, slots=True, kw_only=True)
class LateStep:
    """What it sets is read back only after a number of looks, as from an endpoint that does not know of it yet."""

    world: World
    looks: int
    permissions: tuple[str, ...] = ()

    def describe(self) -> str:
        return "late"

    def apply(self) -> str:
        return "marked"

    def verify(self, _: str) -> None:
        self.world.done.append("look")
        if len(self.world.done) < self.looks:
            raise CapctlError("tags-not-set", "an earlier answer", may_pass=True)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def ports() -> FakePorts:
    return FakePorts()


def _plan(*steps: MarkStep, after: tuple[MarkStep, ...] = (), undo: tuple[MarkStep, ...] = ()) -> Plan:
    return Plan(title="mark", because="asked to", steps=steps, after=after, undo=undo)


def _outcomes(ports: FakePorts) -> list[tuple[str, str]]:
    return [(entry.step, entry.outcome) for entry in ports.journal.entries() if entry.outcome != BEGUN]


def test_steps_run_in_order_and_each_has_a_begin_and_an_end_in_the_journal(world: World, ports: FakePorts) -> None:
    execute(_plan(MarkStep(world=world, name="a"), MarkStep(world=world, name="b")), ports, RUN)
    assert world.done == ["a", "b"]
    assert _outcomes(ports) == [("a", "marked"), ("b", "marked")]
    (_, entry, _, _) = ports.journal.entries()
    assert (entry.at, entry.run_id, entry.user, entry.command, entry.why) == (
        "2026-01-01T00:00:00+00:00",
        "run-1",
        "me",
        "capctl deploy",
        "asked to",
    )


def test_an_empty_plan_says_why_and_writes_nothing(ports: FakePorts) -> None:
    execute(_plan(), ports, RUN)
    assert ports.ui.lines == ["mark: asked to"]
    assert _outcomes(ports) == []


def test_a_failure_without_undo_stops_and_is_raised_as_it_is(world: World, ports: FakePorts) -> None:
    failure = CapctlError("broken", "it broke")
    with pytest.raises(CapctlError) as caught:
        execute(_plan(MarkStep(world=world, name="a", fails=failure), MarkStep(world=world, name="b")), ports, RUN)
    assert caught.value is failure
    assert world.done == []
    assert _outcomes(ports) == [("a", "failed: broken")]


def test_a_step_that_does_not_read_back_has_failed(world: World, ports: FakePorts) -> None:
    with pytest.raises(CapctlError, match="does not read back"):
        execute(_plan(MarkStep(world=world, name="a", reads_back=False)), ports, RUN)
    assert _outcomes(ports) == [("a", "failed: not-set")]


def test_a_verdict_restores_and_keeps_the_reason(world: World, ports: FakePorts) -> None:
    failure = CapctlError("broken", "it broke", hint="mend it", details=("log",), evidence={"job": 1}, verdict=True)
    steps = (MarkStep(world=world, name="a"), MarkStep(world=world, name="b", fails=failure))
    with pytest.raises(RolledBack) as caught:
        execute(_plan(*steps, undo=(MarkStep(world=world, name="back"),)), ports, RUN)
    assert world.done == ["a", "back"]
    assert (caught.value.code, caught.value.hint, caught.value.details) == ("broken", "mend it", ("log",))
    assert caught.value.evidence == {"job": 1}
    assert "it broke" in caught.value.message
    assert not any("it broke" in line for line in ports.ui.lines)


def test_a_failing_undo_is_partly_applied(world: World, ports: FakePorts) -> None:
    step = MarkStep(world=world, name="a", fails=CapctlError("broken", "it broke", verdict=True))
    undo = MarkStep(world=world, name="back", fails=CapctlError("worse", "that too"))
    with pytest.raises(PartlyApplied) as caught:
        execute(_plan(step, undo=(undo,)), ports, RUN)
    assert caught.value.code == "undo-failed"
    assert "it broke" in caught.value.message
    assert "that too" in caught.value.message


def test_result_of_a_step_that_a_plan_must_have_is_not_silently_absent(world: World, ports: FakePorts) -> None:
    assert execute(_plan(MarkStep(world=world, name="a")), ports, RUN).of(MarkStep) == "marked"
    nothing = execute(_plan(), ports, RUN)
    assert nothing.find(MarkStep) is None
    with pytest.raises(LookupError, match="MarkStep"):
        nothing.of(MarkStep)


def test_a_signal_while_restoring_is_an_interrupt_that_says_what_is_left(world: World, ports: FakePorts) -> None:
    failure = CapctlError("broken", "it broke", details=("log",), evidence={"job": 1}, verdict=True)
    undo = MarkStep(world=world, name="take b back", fails=Interrupted("interrupted", "stopped"))
    with pytest.raises(Interrupted) as caught:
        execute(_plan(MarkStep(world=world, name="a", fails=failure), undo=(undo,)), ports, RUN)
    assert (caught.value.code, caught.value.exit_code) == ("interrupted", 130)
    assert "it broke" in caught.value.message
    assert "take b back" in caught.value.message
    assert "Run the same command again" in caught.value.hint
    assert (caught.value.details, caught.value.evidence) == (("log",), {"job": 1})


@pytest.mark.parametrize("kind", [CapctlError, Denied, Inconclusive, Interrupted, TimedOut])
def test_what_is_no_verdict_undoes_nothing_and_is_raised_as_it_is(
    kind: type[CapctlError], world: World, ports: FakePorts
) -> None:
    step = MarkStep(world=world, name="a", fails=kind("no-answer", "stopped"))
    with pytest.raises(kind):
        execute(_plan(step, undo=(MarkStep(world=world, name="back"),)), ports, RUN)
    assert world.done == []
    assert _outcomes(ports) == [("a", "failed: no-answer")]


def test_nothing_is_changed_when_the_journal_cannot_be_written(world: World, ports: FakePorts) -> None:
    def refuse(entry: JournalEntry) -> None:
        raise CapctlError("journal-unwritable", "The disk is full")

    ports.journal.append = refuse  # type: ignore[method-assign]
    with pytest.raises(CapctlError, match="disk is full"):
        execute(_plan(MarkStep(world=world, name="a")), ports, RUN)
    assert world.done == []


def test_what_follows_a_done_plan_may_fail_and_only_warns(world: World, ports: FakePorts) -> None:
    failure = CapctlError("broken", "it broke", verdict=True)
    first = MarkStep(world=world, name="a")
    after = (MarkStep(world=world, name="b", fails=failure), MarkStep(world=world, name="c"))
    done = execute(_plan(first, after=after, undo=(MarkStep(world=world, name="back"),)), ports, RUN)
    assert world.done == ["a", "c"]
    assert done.results == ((first, "marked"), (after[1], "marked"))
    assert done.failures == ((after[0], failure),)
    assert [line for line in ports.ui.lines if line.startswith("warning")] == [
        "warning: What was done stands, but this failed: b: it broke"
    ]
    assert _outcomes(ports) == [("a", "marked"), ("b", "failed: broken"), ("c", "marked")]


def test_what_follows_a_done_plan_can_be_interrupted(world: World, ports: FakePorts) -> None:
    after = (MarkStep(world=world, name="b", fails=Interrupted("interrupted", "stopped")),)
    with pytest.raises(Interrupted):
        execute(_plan(MarkStep(world=world, name="a"), after=after), ports, RUN)


def test_nothing_follows_a_plan_that_failed(world: World, ports: FakePorts) -> None:
    step = MarkStep(world=world, name="a", fails=CapctlError("broken", "it broke"))
    with pytest.raises(CapctlError):
        execute(_plan(step, after=(MarkStep(world=world, name="b"),)), ports, RUN)
    assert world.done == []


def refuse_ends(ports: FakePorts) -> None:
    """Let the journal take only what begins."""
    write = ports.journal.append

    def refuse_the_end(entry: JournalEntry) -> None:
        if entry.outcome != BEGUN:
            raise CapctlError("journal-unwritable", "The disk is full")
        write(entry)

    ports.journal.append = refuse_the_end  # type: ignore[method-assign]


def test_a_step_that_is_done_stays_done_when_the_journal_cannot_say_so(world: World, ports: FakePorts) -> None:
    refuse_ends(ports)
    steps = (MarkStep(world=world, name="a"), MarkStep(world=world, name="b"))
    execute(_plan(*steps, undo=(MarkStep(world=world, name="back"),)), ports, RUN)
    assert world.done == ["a", "b"]
    assert ports.ui.lines.count("warning: The disk is full") == 2


def test_an_unwritable_journal_does_not_hide_why_a_step_failed(world: World, ports: FakePorts) -> None:
    refuse_ends(ports)
    with pytest.raises(CapctlError, match="no answer"):
        execute(_plan(MarkStep(world=world, name="a", fails=CapctlError("no-answer", "no answer"))), ports, RUN)


def test_in_a_plan_that_goes_on_a_failure_stops_no_other_step_but_a_signal_does(world: World, ports: FakePorts) -> None:
    fails = MarkStep(world=world, name="second", fails=CapctlError("aws-failed", "AWS call failed"))
    plan = _plan(MarkStep(world=world, name="first"), fails, MarkStep(world=world, name="third"))
    done = execute(replace(plan, goes_on=True), ports, RUN)
    assert world.done == ["first", "third"]
    assert [(step.describe(), error.code) for step, error in done.failures] == [("second", "aws-failed")]
    assert ("second", "failed: aws-failed") in _outcomes(ports)
    interrupted = replace(fails, fails=Interrupted("interrupted", "The command was interrupted"))
    with pytest.raises(Interrupted):
        execute(replace(plan, steps=(interrupted, *plan.steps), goes_on=True), ports, RUN)


def test_answer_from_before_a_change_is_looked_at_again(world: World, ports: FakePorts) -> None:
    done = execute(Plan(title="mark", because="asked to", steps=(LateStep(world=world, looks=3),)), ports, RUN)
    assert [result for _, result in done.results] == ["marked"]
    assert (world.done, ports.clock.slept) == (["look"] * 3, [0.5, 0.5])


def test_change_that_is_never_read_back_fails_after_half_a_minute(world: World, ports: FakePorts) -> None:
    with pytest.raises(CapctlError) as failed:
        execute(Plan(title="mark", because="asked to", steps=(LateStep(world=world, looks=1000),)), ports, RUN)
    assert failed.value.code == "tags-not-set"
    assert 30 <= sum(ports.clock.slept) <= 36


def test_failure_that_cannot_pass_is_told_at_once(world: World, ports: FakePorts) -> None:
    with pytest.raises(CapctlError):
        execute(_plan(MarkStep(world=world, name="a", reads_back=False)), ports, RUN)
    assert ports.clock.slept == []
