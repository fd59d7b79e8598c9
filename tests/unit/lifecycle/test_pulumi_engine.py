"""An engine that fails or finds its stack locked says why, in the words of any other part."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from pulumi import automation
from pulumi.automation.errors import CommandError, ConcurrentUpdateError, StackAlreadyExistsError

from lifecycle.adapters.pulumi_engine import PulumiEngine
from lifecycle.adapters.pulumi_events import EventLog
from lifecycle.errors import CapctlError, ExitCode
from tests.fakes import engine_events
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi


class Pulumi:
    """A Pulumi whose updates do `up` with what hears of events; `unlocked` are the stacks whose locks were broken."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.up: Callable[[EventLog], object] = lambda _: None
        self.unlocked: list[str] = []
        self.engine = PulumiEngine(make_target(folder, stack={"state": "file://state"}), FakeUi(), {})
        monkeypatch.setattr("lifecycle.adapters.pulumi_engine.find_pulumi", lambda _: folder / "pulumi")
        monkeypatch.setattr(automation.Stack, "up", lambda _, *, on_event, **__: self.up(on_event))
        monkeypatch.setattr(automation.Stack, "cancel", lambda stack: self.unlocked.append(stack.name))

    def failure(self, answer: str, kind: type[CommandError] = CommandError, *, said: str = "") -> CapctlError:
        """What the engine makes of an update that says `said` and ends with `answer`."""

        def fail(log: EventLog) -> None:
            if said:
                log(engine_events.said("error", said))
            raise kind(cast(Any, answer))

        self.up = fail
        with pytest.raises(CapctlError) as failed:
            self.engine.up("releases", lambda: None)
        return failed.value


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pulumi:
    return Pulumi(tmp_path, monkeypatch)


def test_failure_carries_the_end_of_the_answer(pulumi: Pulumi) -> None:
    failure = pulumi.failure("\n code: 255\n stdout: \n stderr: error: no such thing\n")
    assert (failure.code, failure.details) == ("stack-failed", ("error: no such thing",))


@pytest.mark.parametrize(
    ("said", "code", "exit_code"),
    [
        ("AccessDenied: User ann is not authorized to perform: iam:CreateRole", "permission-denied", ExitCode.DENIED),
        ("ExpiredToken: The security token included in the request is expired", "credentials-expired", ExitCode.DENIED),
        ("InsufficientInstanceCapacity: We have none", "no-capacity", ExitCode.INCONCLUSIVE),
        ("TooManyRequestsException: Too Many Requests", "aws-throttled", ExitCode.INCONCLUSIVE),
        ("LimitExceededException: no more", "quota-reached", ExitCode.FAILED),
    ],
)
def test_failed_call_is_told_as_that_of_any_other_part(
    pulumi: Pulumi, said: str, code: str, exit_code: ExitCode
) -> None:
    failure = pulumi.failure(f"error: operation error IAM: CreateRole, https response error, api error {said}")
    assert (failure.code, failure.exit_code) == (code, exit_code)
    assert failure.details


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("vision-1: unexpected state 'INVALID': the AMI cannot be described", True),
        ("vision-1: https response error StatusCode: 400, RequestID: 1, ClientException: no such instance type", True),
        ("vision-1: An error occurred (ClientException) when calling the CreateComputeEnvironment operation: no", True),
        ("vision-1: api error InvalidAMIID.NotFound: The image id does not exist", True),
        ("vision-1: api error InvalidParameterValue: Invalid availability zone", True),
        ("vision-1: operation error Batch, ClientException: The subnet ID 'subnet-1' does not exist", True),
        (
            "vision-1: operation error EC2: DescribeLaunchTemplates, https response error StatusCode: 400, RequestID: 1, api error"
            " InvalidLaunchTemplateId.NotFound: The specified launch template, with template ID lt-1, does not exist.",
            False,
        ),
        (
            "vision-1: operation error Batch: CreateJobQueue, https response error StatusCode: 400, RequestID: 1, ClientException:"
            " computeEnvironment vision-1 does not exist",
            False,
        ),
        (
            "vision-1: creating EC2 Launch Template (vision-1): operation error EC2: CreateLaunchTemplate, https response error"
            " StatusCode: 400, RequestID: 1, api error InvalidLaunchTemplateName.AlreadyExistsException: Launch template name already in"
            " use.",
            False,
        ),
        (
            "vision-1: creating Batch Compute Environment (vision-1): operation error Batch: CreateComputeEnvironment, https response"
            " error StatusCode: 400, RequestID: 1, ClientException: Object already exists",
            False,
        ),
        ("vision-1: api error InvalidIdentityToken: The web identity token could not be validated", False),
        ("vision-1: api error InvalidObjectState: The operation is not valid for the object's storage class", False),
        ("vision-1: An error occurred (InvalidClientTokenId) when calling the CreateJobQueue operation: no", False),
        ("vision-1: https response error StatusCode: 429, TooManyRequestsException: slow down", False),
        ("vision-1: request send failed, dial tcp: lookup batch.us-west-2.amazonaws.com: no such host", False),
        (
            "vision-0: An error occurred (ClientException) when calling the DeleteComputeEnvironment operation: no",
            False,
        ),
        ("update failed", False),
    ],
)
def test_only_what_aws_says_of_a_resource_is_a_verdict(pulumi: Pulumi, said: str, verdict: bool) -> None:
    failure = pulumi.failure("", said=said)
    assert failure.is_verdict == verdict
    assert failure.details == (said,)


def test_stack_that_another_run_made_meanwhile_is_taken(pulumi: Pulumi, monkeypatch: pytest.MonkeyPatch) -> None:
    def create(_: object, name: str) -> None:
        raise StackAlreadyExistsError(cast(Any, f"stack '{name}' already exists"))

    monkeypatch.setattr(automation.LocalWorkspace, "create_stack", create)
    pulumi.engine.create("releases")


def test_wrong_passphrase_is_a_usage_error(pulumi: Pulumi) -> None:
    assert pulumi.failure("error: incorrect passphrase").code == "passphrase-wrong"


@pytest.mark.parametrize(
    ("holder", "is_elsewhere"),
    [("created by ann@elsewhere (pid 1)", True), (f"created by ann@{os.uname().nodename} (pid 999999999)", False)],
)
def test_lock_of_another_machine_is_respected_and_a_dead_one_here_is_broken(
    pulumi: Pulumi, holder: str, is_elsewhere: bool
) -> None:
    text = f"the stack is currently locked by 1 lock(s)\n{holder} at 2026-01-01T00:00:00Z"
    failure = pulumi.failure(text, ConcurrentUpdateError)
    assert failure.code == "stack-locked"
    assert ("ann@elsewhere" in failure.message) is is_elsewhere
    assert (pulumi.unlocked == []) is is_elsewhere


HERE = f"created by ann@{os.uname().nodename} (pid 4321) at 2026-01-01T00:00:00Z"


@pytest.mark.parametrize("ends", [True, False])
def test_lock_of_a_living_run_is_waited_for_and_never_broken(
    pulumi: Pulumi, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []
    monkeypatch.setattr("lifecycle.adapters.pulumi_engine.is_running", lambda pid: True)
    monkeypatch.setattr("lifecycle.adapters.pulumi_engine._ends", lambda pid, within_s: ends)

    def up(_: EventLog) -> None:
        tries.append("once")
        if len(tries) == 1:
            raise ConcurrentUpdateError(cast(Any, HERE))

    pulumi.up = up
    if ends:
        pulumi.engine.up("releases", lambda: None)
        assert len(tries) == 2
    else:
        with pytest.raises(CapctlError, match=r"by ann@.* \(pid 4321\) since 2026-01-01") as failed:
            pulumi.engine.up("releases", lambda: None)
        assert failed.value.code == "stack-locked"
    assert pulumi.unlocked == []


def test_stack_without_a_state_while_it_is_changed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = PulumiEngine(make_target(tmp_path), FakeUi(), {})
    monkeypatch.setattr(PulumiEngine, "export", lambda *_: None)
    with pytest.raises(CapctlError, match="has no state while it is being changed") as failed:
        engine.repair("releases", lambda now: now)
    assert (failed.value.code, failed.value.is_verdict) == ("stack-failed", False)
