"""A sweep of which one call to EC2 fails, each in turn: it is right, or right after the next."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from lifecycle.adapters.aws.amis import Ec2Amis
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.sweep import KnownRun, LeftoverKind
from lifecycle.errors import CapctlError
from lifecycle.rehearsal.emulator.launch import Emulator
from lifecycle.workflows.execute import execute
from lifecycle.workflows.sweep import plan_sweep
from tests.contract.test_leftovers import Account, emulated
from tests.fakes.clock import FakeClock
from tests.fakes.objects import FakeObjects
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.targets import make_target
from tests.rehearsal.aws_faults import Calls, Failing, Fault, early_reads
from tests.rehearsal.stage_parts import until

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(300)]


class Sweeper:
    """A project with a dead run, whose leftovers are swept through real calls."""

    def __init__(self, session: AwsSession, base: str) -> None:
        self.project = f"p{uuid.uuid4().hex[:8]}"
        self.account: Account = emulated(session, base, self.project)
        self.ports = cast("Any", FakePorts())
        # Whatever is made below is older than now: on a slow machine it would come from a future that never begins.
        self.ports.clock = FakeClock(datetime.now(UTC) + timedelta(minutes=5))
        self.ports.leftovers, self.ports.amis = self.account.leftovers, Ec2Amis(session)
        self.target = replace(make_target(Path("/nowhere")), project=self.project)
        self.ports.objects = FakeObjects(self.target.bucket)
        self.ids = [self.account.make(kind, self.project, "r1") for kind in LeftoverKind]
        self.ports.bake_runs.add(KnownRun(id="r1", is_held=False))

    def sweep(self) -> bool:
        """Whether everything was to go and went; what is kept since EC2 does not tell who uses it is told."""
        try:
            verdicts, plan = plan_sweep(self.ports, self.target, run_id="r1", older_than=timedelta())
            failures = execute(plan, self.ports, RUN).failures
        except CapctlError as error:
            print(error.message)
            return False
        print(*(f"{one.item}: {one.because}" for one in verdicts), *(error.message for _, error in failures), sep="\n")
        return not failures and all(one.removes for one in verdicts)

    def left(self) -> list[str]:
        there = [item.id for item in self.account.leftovers.find() if item.id in self.ids]
        return there + [run.id for run in self.ports.bake_runs.known()]


def test_sweep_of_which_any_one_call_fails_is_right_or_right_after_the_next(
    emulated_session: AwsSession, emulator: Emulator
) -> None:
    base, calls = emulator.facts["base_ami"], Calls(emulated_session.client("ec2"))
    whole = Sweeper(emulated_session, base)
    with calls.watched() as made:
        assert whole.sweep()
    assert whole.left() == []
    swept = Sweeper(emulated_session, base)
    everything = swept.left()
    for number, call in enumerate(made):
        ways = ((Fault.THROTTLED, Fault.BROKEN)[number % 2], *(() if call.is_read else (Fault.LOST,)))
        for failing in (Failing(number=number, fault=fault) for fault in ways):
            with calls.watched(failing):
                said_done = swept.sweep()
            left = swept.left()
            assert not said_done or left == [], (failing, call)
            if left == everything:  # the account is as it was: good for the next fault too
                continue
            # The instance ends while no time passes for the sweep.
            assert not left or until(swept.sweep), (failing, call)
            assert swept.left() == [], (failing, call)
            swept = Sweeper(emulated_session, base)
            everything = swept.left()
    assert swept.sweep() or not swept.left()
    assert swept.left() == []


def test_reads_that_do_not_know_of_the_last_removal_end_a_sweep_right(
    emulated_session: AwsSession, emulator: Emulator
) -> None:
    calls = Calls(emulated_session.client("ec2"))
    for early in early_reads(5):
        swept = Sweeper(emulated_session, emulator.facts["base_ami"])
        with calls.watched(early=early):
            said_done = swept.sweep()
        assert not said_done or swept.left() == [], early
        assert said_done or until(swept.sweep), early
        assert swept.left() == [], early
