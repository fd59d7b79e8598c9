"""What every `ports.Deployments` does."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from lifecycle.adapters.aws.deployments import DynamoDeployments
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.aws.table import ReleasesTable
from lifecycle.adapters.aws.turn import HeldTurn
from lifecycle.adapters.aws.turn_item import MOST_PAST
from lifecycle.adapters.processes import machine_name
from lifecycle.domain.deployment import Deployment, Outcome, Stage, recorded_release
from lifecycle.domain.digest import canonical_json
from lifecycle.errors import CapctlError
from lifecycle.ports.deployments import Deployments, Turn
from tests.contract.table_parts import make_table
from tests.failures import failure
from tests.fakes.clock import FakeClock
from tests.fakes.deployments import HOLDER, FakeDeployments
from tests.fakes.releases import make_release

RELEASE = make_release()


@pytest.fixture(params=["fake", pytest.param("emulator", marks=pytest.mark.rehearsal)])
def deployments(request: pytest.FixtureRequest) -> Deployments:
    if request.param == "fake":
        return FakeDeployments()
    session: AwsSession = request.getfixturevalue("emulated_session")
    return DynamoDeployments(session, FakeClock(), table=make_table(session))


def deployment(turn: Turn, **changes: object) -> Deployment:
    made = Deployment(
        number=turn.number,
        holder=turn.holder,
        reason="a test asks",
        release_id=RELEASE.id,
        record=canonical_json(RELEASE.record).decode(),
        replaces="",
        stages=((Stage.UP, "2026-01-01T00:00:00+00:00"), (Stage.SMOKE, "2026-01-01T00:00:09+00:00")),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_nothing_before_the_first_turn(deployments: Deployments) -> None:
    assert deployments.recent(5) == ()
    assert deployments.standing(1).holder is None


def test_one_has_the_turn_at_a_time_and_the_other_is_told_who(deployments: Deployments) -> None:
    with deployments.turn("first", "capctl deploy") as turn:
        turn.require()
        assert deployments.standing(1).holder == turn.holder
        refused = failure(lambda: deployments.turn("second", "capctl deploy").__enter__())
        assert refused.code == "deploy-locked"
        assert f"{turn.holder.user}@{turn.holder.host}" in refused.message
        assert "`capctl deploy`" in refused.message
    assert deployments.standing(1).holder is None


def test_turns_are_numbered_and_given_back_also_after_a_failure(deployments: Deployments) -> None:
    with pytest.raises(CapctlError), deployments.turn("first", "capctl deploy") as first:
        raise CapctlError("smoke-failed", "It failed")
    with deployments.turn("second", "capctl deploy") as second:
        assert (first.number, second.number) == (1, 2)
        assert (second.holder.run_id, second.holder.command) == ("second", "capctl deploy")


def test_deployment_reads_back_whole(deployments: Deployments) -> None:
    with deployments.turn("first", "capctl deploy") as turn:
        begun = deployment(turn)
        deployments.write(begun)
        assert deployments.recent(1) == (begun,)
        ended = deployment(
            turn,
            outcome=Outcome.ABORTED,
            ended_at="2026-01-01T00:01:00+00:00",
            error="aws-unreachable",
            why="No answer",
            seen_version=3,
            promoted_by="another-run",
            dead_letters=0,
        )
        deployments.write(ended)
    (found,) = deployments.recent(5)
    assert found == ended
    assert recorded_release(found.record) == RELEASE


def test_recent_ones_come_newest_first_without_turns_that_recorded_none(deployments: Deployments) -> None:
    numbers = []
    for number in range(4):
        with deployments.turn(f"run-{number}", "capctl deploy") as turn:
            if number != 1:
                deployments.write(deployment(turn))
                numbers.append(turn.number)
    assert [found.number for found in deployments.recent(10)] == numbers[::-1]
    assert [found.number for found in deployments.recent(2)] == numbers[:0:-1]


def test_deployment_is_found_behind_any_number_of_turns_that_recorded_none(deployments: Deployments) -> None:
    numbers = []
    for number in range(60):
        with deployments.turn(f"run-{number}", "capctl bootstrap" if number % 30 else "capctl deploy") as turn:
            if number % 30 == 0:
                deployments.write(deployment(turn))
                deployments.write(deployment(turn, outcome=Outcome.ABORTED))
                numbers.append(turn.number)
    assert [found.number for found in deployments.recent(1)] == numbers[1:]
    assert [found.number for found in deployments.recent(20)] == numbers[::-1]


@pytest.mark.rehearsal
def test_looking_back_takes_two_calls_and_a_deployment_one_more_than_its_records(emulated_session: AwsSession) -> None:
    deployments = DynamoDeployments(emulated_session, FakeClock(), table=make_table(emulated_session))
    calls: list[str] = []
    events = emulated_session.client("dynamodb").meta.events
    events.register("before-call.dynamodb", lambda model, **_: calls.append(model.name), unique_id="count")
    try:
        for number in range(120):
            with deployments.turn(f"run-{number}", "capctl deploy") as turn:
                deployments.write(deployment(turn))
                calls.clear()
                deployments.write(deployment(turn, outcome=Outcome.PROMOTED))
                assert calls == ["PutItem"]
            calls.clear()
        assert [found.number for found in deployments.recent(100)] == [*range(120, 20, -1)]
        assert calls == ["GetItem", "BatchGetItem"]
    finally:
        events.unregister("before-call.dynamodb", unique_id="count")


@pytest.mark.rehearsal
def test_deployments_of_an_earlier_version_which_noted_no_numbers_are_found(emulated_session: AwsSession) -> None:
    table = make_table(emulated_session)
    deployments = DynamoDeployments(emulated_session, FakeClock(), table=table)
    for number in range(4):
        with deployments.turn(f"run-{number}", "capctl deploy") as turn:
            if number != 2:
                deployments.write(deployment(turn))
    key = {"id": {"S": "turn"}}
    emulated_session.client("dynamodb").update_item(TableName=table, Key=key, UpdateExpression="REMOVE recorded")
    assert [found.number for found in deployments.recent(2)] == [4, 2]
    with deployments.turn("next", "capctl deploy") as turn:
        deployments.write(deployment(turn))
    assert [found.number for found in deployments.recent(10)] == [5, 4, 2, 1]


@pytest.mark.rehearsal
def test_run_that_lost_its_turn_records_no_deployment(emulated_session: AwsSession) -> None:
    table = make_table(emulated_session)
    found, other = (DynamoDeployments(emulated_session, FakeClock(), table=table) for _ in range(2))
    with found.turn("mine", "capctl deploy") as turn:
        emulated_session.client("dynamodb").delete_item(TableName=table, Key={"id": {"S": "turn"}})
        with other.turn("theirs", "capctl deploy"):
            assert failure(lambda: found.write(deployment(turn))).code == "turn-lost"
    assert other.recent(5) == ()


@pytest.mark.rehearsal
def test_missing_table_says_bootstrap(emulated_session: AwsSession) -> None:
    missing = DynamoDeployments(emulated_session, FakeClock(), table="nowhere")
    with pytest.raises(CapctlError) as failed, missing.turn("first", "capctl deploy"):
        pass
    assert failed.value.code == "base-missing"


@pytest.fixture
def table(emulated_session: AwsSession) -> str:
    return make_table(emulated_session)


def one_more(session: AwsSession, table: str, *, minutes: int = 0) -> DynamoDeployments:
    """As a run sees them that begins so much later."""
    return DynamoDeployments(session, FakeClock(datetime(2026, 1, 1, 0, minutes, tzinfo=UTC)), table=table)


def die(session: AwsSession, table: str, **holder: Any) -> None:
    """Take the turn at midnight, and be seen no more."""
    held = HeldTurn(ReleasesTable(session, table), FakeClock(), replace(HOLDER, run_id="dead", **holder))
    held.take()


@pytest.mark.rehearsal
def test_what_a_dead_run_began_is_over_for_every_later_run(emulated_session: AwsSession, table: str) -> None:
    die(emulated_session, table, host="elsewhere")
    assert not one_more(emulated_session, table, minutes=5).is_over("elsewhere", 7, "2026-01-01T00:00:00Z")
    with one_more(emulated_session, table, minutes=5).turn("mine", "capctl deploy"):
        pass
    for number in range(3):
        with one_more(emulated_session, table, minutes=6).turn(f"later-{number}", "capctl bootstrap"):
            found = one_more(emulated_session, table)
            assert found.is_over("elsewhere", 7, "2026-01-01T00:00:00Z")
            assert found.is_over("elsewhere", 7, "2026-01-01T01:00:30+01:00")
            # After its turn had run out, or before its begin, a person may have begun it, and may still be at it.
            assert not found.is_over("elsewhere", 7, "2026-01-01T00:01:01Z")
            assert not found.is_over("elsewhere", 7, "2025-12-31T23:59:59Z")
            assert not found.is_over("another", 7, "2026-01-01T00:00:00Z")
            assert not found.is_over("elsewhere", 7, "no moment")


@pytest.mark.rehearsal
def test_what_a_run_began_that_gave_its_turn_back_is_over(emulated_session: AwsSession, table: str) -> None:
    ours = one_more(emulated_session, table)
    host, pid, at = os.uname().nodename, 2**22 + 1, "2026-01-01T00:00:00Z"
    with ours.turn("mine", "capctl deploy"):
        assert not ours.is_over(host, pid, at)
    assert ours.is_over(host, pid, at)
    # The CLI may outlive it.
    assert not ours.is_over(host, os.getpid(), at)
    assert not ours.is_over(host, pid, "2026-01-01T00:00:01Z")


@pytest.mark.rehearsal
def test_what_a_run_began_whose_process_is_gone_is_over_before_anybody_takes_its_turn(
    emulated_session: AwsSession, table: str
) -> None:
    die(emulated_session, table, machine=machine_name(), pid=2**22 + 1)
    assert one_more(emulated_session, table).is_over(HOLDER.host, 2**22 + 2, "2026-01-01T00:00:30Z")


@pytest.mark.rehearsal
def test_only_the_last_turns_are_remembered(emulated_session: AwsSession, table: str) -> None:
    die(emulated_session, table, host="elsewhere")
    later = one_more(emulated_session, table, minutes=5)
    for number in range(MOST_PAST):
        with later.turn(f"run-{number}", "capctl deploy"):
            assert later.is_over("elsewhere", 7, "2026-01-01T00:00:00Z")
    assert not later.is_over("elsewhere", 7, "2026-01-01T00:00:00Z")
    (item,) = emulated_session.client("dynamodb").scan(TableName=table)["Items"]
    assert len(item["past"]["L"]) == MOST_PAST


@pytest.mark.rehearsal
def test_nothing_is_over_where_there_is_no_table(emulated_session: AwsSession) -> None:
    assert not one_more(emulated_session, "nowhere").is_over("elsewhere", 7, "2026-01-01T00:00:00Z")


@pytest.mark.rehearsal
def test_holder_on_another_machine_is_told_with_how_long_its_turn_is_over(
    emulated_session: AwsSession, table: str
) -> None:
    die(emulated_session, table, host="elsewhere")
    found = one_more(emulated_session, table).standing(1)
    assert (found.holder and found.holder.host, found.silent_s) == ("elsewhere", 0.0)
    # It counted for a minute.
    assert one_more(emulated_session, table, minutes=5).standing(1).silent_s == 240.0
