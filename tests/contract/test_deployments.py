"""What every `ports.Deployments` does."""

from dataclasses import replace

import pytest

from lifecycle.adapters.aws.deployments import DynamoDeployments
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.deployment import Deployment, Outcome, Stage, recorded_release
from lifecycle.domain.digest import canonical_json
from lifecycle.errors import CapctlError
from lifecycle.ports.deployments import Deployments, Turn
from tests.contract.table_parts import make_table
from tests.failures import failure
from tests.fakes.clock import FakeClock
from tests.fakes.deployments import FakeDeployments
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


@pytest.mark.rehearsal
def test_missing_table_says_bootstrap(emulated_session: AwsSession) -> None:
    missing = DynamoDeployments(emulated_session, FakeClock(), table="nowhere")
    with pytest.raises(CapctlError) as failed, missing.turn("first", "capctl deploy"):
        pass
    assert failed.value.code == "base-missing"
