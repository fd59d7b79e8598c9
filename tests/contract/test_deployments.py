"""What every `ports.Deployments` does."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lifecycle.adapters.aws.deployments import DynamoDeployments
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.aws.table import ReleasesTable
from lifecycle.adapters.aws.turn import HeldTurn
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
    assert deployments.holder() is None


def test_one_has_the_turn_at_a_time_and_the_other_is_told_who(deployments: Deployments) -> None:
    with deployments.turn("first", "capctl deploy") as turn:
        turn.require()
        assert deployments.holder() == turn.holder
        refused = failure(lambda: deployments.turn("second", "capctl deploy").__enter__())
        assert refused.code == "deploy-locked"
        assert f"{turn.holder.user}@{turn.holder.host}" in refused.message
        assert "`capctl deploy`" in refused.message
    assert deployments.holder() is None


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


@pytest.mark.rehearsal
def test_what_a_dead_run_began_is_known_by_its_machine_and_its_moment(emulated_session: AwsSession) -> None:
    table, clock = make_table(emulated_session), FakeClock()
    dead = HeldTurn(ReleasesTable(emulated_session, table), clock, replace(HOLDER, run_id="dead", host="elsewhere"))
    dead.take()
    later = FakeClock(datetime(2026, 1, 1, 0, 5, tzinfo=UTC))
    found = DynamoDeployments(emulated_session, later, table=table)
    assert not found.was_the_dead_one("elsewhere", "2026-01-01T00:00:00Z")
    with found.turn("mine", "capctl deploy"):
        assert found.was_the_dead_one("elsewhere", "2026-01-01T00:00:00Z")
        assert found.was_the_dead_one("elsewhere", "2026-01-01T00:00:30Z")
        # After its turn had run out, or before its begin, a person may have begun it, and may still be at it.
        assert not found.was_the_dead_one("elsewhere", "2026-01-01T00:01:01Z")
        assert not found.was_the_dead_one("elsewhere", "2025-12-31T23:59:59Z")
        assert not found.was_the_dead_one("another", "2026-01-01T00:00:00Z")
        assert not found.was_the_dead_one("elsewhere", "no moment")
    with found.turn("mine", "capctl deploy"):
        assert not found.was_the_dead_one("elsewhere", "2026-01-01T00:00:00Z")
