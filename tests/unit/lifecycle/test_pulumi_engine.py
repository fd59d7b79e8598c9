"""An engine that fails or finds its stack locked says why, in the words of any other part."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from pulumi import automation
from pulumi.automation.errors import CommandError, ConcurrentUpdateError, StackAlreadyExistsError

from lifecycle.adapters.processes import Process
from lifecycle.adapters.pulumi_engine import PulumiEngine
from lifecycle.adapters.pulumi_events import EventLog
from lifecycle.adapters.pulumi_locks import LockHolder, StartedClis
from lifecycle.errors import CapctlError, ExitCode
from tests.fakes import engine_events
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi


class Pulumi:
    """A Pulumi whose updates do `up` with what hears of events; `unlocked` are the stacks whose locks were broken."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        self.up: Callable[[EventLog], object] = lambda _: None
        self.unlocked: list[str] = []
        self.engine = PulumiEngine(make_target(folder, stack={"state": "file://state"}), FakeUi(), {}, **options)
        monkeypatch.setattr("lifecycle.adapters.pulumi_engine.find_pulumi", lambda _: folder / "pulumi")
        monkeypatch.setattr(automation.Stack, "up", lambda _, *, on_event, **__: self.up(on_event))
        monkeypatch.setattr(automation.Stack, "cancel", lambda stack: self.unlocked.append(stack.name))

    def failure(
        self, answer: str, kind: type[CommandError] = CommandError, *, said: str | tuple[str, ...] = ()
    ) -> CapctlError:
        """What the engine makes of an update that says `said` and ends with `answer`."""

        def fail(log: EventLog) -> None:
            for message in (said,) if isinstance(said, str) else said:
                log(engine_events.said("error", message))
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


CREATE = "creating Batch Compute Environment (vision-1): operation error Batch: CreateComputeEnvironment, https response error StatusCode: "
EC2 = "creating EC2 Launch Template (vision-1): operation error EC2: CreateLaunchTemplate, https response error StatusCode: "
ID = ", RequestID: 1f9e0a6a-9c5f-4b1f-8a3e-1c7b8b0e2f11, "


@pytest.mark.parametrize(
    ("said", "code", "exit_code"),
    [
        (
            f"{CREATE}403{ID}AccessDeniedException: User: arn:aws:iam::123456789012:user/ann is not authorized to perform:"
            " batch:CreateComputeEnvironment on resource: *",
            "permission-denied",
            ExitCode.DENIED,
        ),
        (
            f"{CREATE}403{ID}AccessDeniedException: User: arn:aws:iam::123456789012:user/ann is not authorized to perform: iam:PassRole",
            "permission-denied",
            ExitCode.DENIED,
        ),
        (f"{EC2}403{ID}api error UnauthorizedOperation: You are not authorized", "permission-denied", ExitCode.DENIED),
        (
            "creating IAM Role (vision-job): operation error IAM: CreateRole, https response error StatusCode: 403"
            f"{ID}api error AccessDenied: User: ann is not authorized to perform: iam:CreateRole",
            "permission-denied",
            ExitCode.DENIED,
        ),
        (
            f"{CREATE}403{ID}AccessDeniedException: User: ann is not authorized to perform: iam:CreateServiceLinkedRole on resource:"
            " arn:aws:iam::123456789012:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch",
            "service-role-missing",
            ExitCode.DENIED,
        ),
        (
            "waiting for Batch Compute Environment (vision-1) create: unexpected state 'INVALID', wanted target 'VALID'. last error:"
            " CLIENT_ERROR - The provided role arn:aws:iam::123456789012:role/aws-service-role/batch.amazonaws.com/"
            "AWSServiceRoleForBatch can not be assumed by the authorized endpoint",
            "service-role-missing",
            ExitCode.DENIED,
        ),
        (
            f"{EC2}403{ID}api error AuthFailure.ServiceLinkedRoleCreationNotPermitted: The provided credentials do not have permission"
            " to create the service-linked role for EC2 Spot Instances.",
            "service-role-missing",
            ExitCode.DENIED,
        ),
        (
            f"{EC2}400{ID}api error ExpiredToken: The security token included in the request is expired",
            "credentials-expired",
            ExitCode.DENIED,
        ),
        (
            f"{CREATE}403{ID}api error ExpiredTokenException: The security token included in the request is expired",
            "credentials-expired",
            ExitCode.DENIED,
        ),
        (f"{EC2}400{ID}api error RequestExpired: Request has expired.", "credentials-expired", ExitCode.DENIED),
        (
            "running instance: api error InsufficientInstanceCapacity: We currently do not have sufficient capacity",
            "no-capacity",
            ExitCode.INCONCLUSIVE,
        ),
        (f"{CREATE}429{ID}TooManyRequestsException: Too Many Requests", "aws-throttled", ExitCode.INCONCLUSIVE),
        (
            f"{EC2}503{ID}api error RequestLimitExceeded: Request limit exceeded.",
            "aws-throttled",
            ExitCode.INCONCLUSIVE,
        ),
        (f"{CREATE}400{ID}api error Throttling: Rate exceeded", "aws-throttled", ExitCode.INCONCLUSIVE),
        (
            "creating IAM Role (vision-job): operation error IAM: CreateRole, https response error StatusCode: 409"
            f"{ID}LimitExceeded: Cannot exceed quota for RolesPerAccount: 1000",
            "quota-reached",
            ExitCode.FAILED,
        ),
        (
            f"{CREATE}400{ID}ClientException: Error executing request, Exception : Maximum number of compute environments supported"
            " is 50",
            "quota-reached",
            ExitCode.FAILED,
        ),
        (
            f"{CREATE}400{ID}ClientException: You have reached the limit of 50 ComputeEnvironments in this region",
            "quota-reached",
            ExitCode.FAILED,
        ),
        (f"{EC2}400{ID}api error LaunchTemplateLimitExceeded: no more", "quota-reached", ExitCode.FAILED),
        (f"{CREATE}400{ID}ClientException: Object already exists", "name-taken", ExitCode.FAILED),
        (
            f"{EC2}400{ID}api error InvalidLaunchTemplateName.AlreadyExistsException: Launch template name already in use.",
            "name-taken",
            ExitCode.FAILED,
        ),
        (
            f"creating S3 Bucket (vision): operation error S3: CreateBucket, https response error StatusCode: 409{ID}BucketAlreadyExists:",
            "name-taken",
            ExitCode.FAILED,
        ),
        (
            "creating IAM Role (vision-job): operation error IAM: CreateRole, https response error StatusCode: 409"
            f"{ID}EntityAlreadyExists: Role with name vision-job already exists.",
            "name-taken",
            ExitCode.FAILED,
        ),
        (
            "creating AWS DynamoDB Table (vision): operation error DynamoDB: CreateTable, https response error StatusCode: 400"
            f"{ID}ResourceInUseException: Table already exists: vision",
            "name-taken",
            ExitCode.FAILED,
        ),
        (
            "creating ECR Repository (vision): operation error ECR: CreateRepository, https response error StatusCode: 400"
            f"{ID}RepositoryAlreadyExistsException: The repository with name 'vision' already exists",
            "name-taken",
            ExitCode.FAILED,
        ),
        (
            "creating CloudWatch Logs Log Group (/vision/jobs): operation error CloudWatch Logs: CreateLogGroup, https response error"
            f" StatusCode: 400{ID}ResourceAlreadyExistsException: The specified log group already exists",
            "name-taken",
            ExitCode.FAILED,
        ),
        (f"{CREATE}500{ID}ServerException: An internal error", "aws-unclear", ExitCode.FAILED),
        (
            f"{CREATE}0, RequestID: , request send failed, Post https://batch: dial tcp: no route",
            "aws-unreachable",
            ExitCode.FAILED,
        ),
    ],
)
def test_failed_call_is_told_as_that_of_any_other_part(
    pulumi: Pulumi, said: str, code: str, exit_code: ExitCode
) -> None:
    failure = pulumi.failure("error: update failed", said=said)
    assert (failure.code, failure.exit_code) == (code, exit_code)
    assert failure.hint
    assert failure.details == (said,)
    assert not failure.is_verdict
    assert not failure.may_pass


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
        (
            "vision-1: waiting for Batch Compute Environment (vision-1) create: unexpected state 'INVALID', wanted target 'VALID'. last"
            " error: CLIENT_ERROR - The subnet ID 'subnet-1' does not exist",
            True,
        ),
        ("vision-1: api error InvalidSubnetID.NotFound: The subnet ID 'subnet-1' does not exist", True),
    ],
)
def test_only_what_aws_says_of_a_resource_is_a_verdict(pulumi: Pulumi, said: str, verdict: bool) -> None:
    failure = pulumi.failure("", said=said)
    assert failure.is_verdict == verdict
    assert failure.details == (said,)


LINGERS = (
    "deleting Batch Compute Environment (vision-1): operation error Batch: DeleteComputeEnvironment, https response error StatusCode: 400,"
    " RequestID: 1, ClientException: Cannot delete, found existing JobQueue relationship"
)


@pytest.mark.parametrize(
    ("said", "may_pass"),
    [
        ((LINGERS, "update failed"), True),
        ((LINGERS, "resource deletion failed; update failed"), True),
        ((LINGERS, "api error InvalidSubnetID.NotFound: no"), False),
        (("update failed",), False),
    ],
)
def test_deletion_that_only_a_queue_that_is_gone_stands_against_may_pass(
    pulumi: Pulumi, said: tuple[str, ...], may_pass: bool
) -> None:
    failure = pulumi.failure("", said=said)
    assert (failure.code, failure.may_pass) == ("stack-failed", may_pass)


def test_stack_that_another_run_made_meanwhile_is_taken(pulumi: Pulumi, monkeypatch: pytest.MonkeyPatch) -> None:
    def create(_: object, name: str) -> None:
        raise StackAlreadyExistsError(cast(Any, f"stack '{name}' already exists"))

    monkeypatch.setattr(automation.LocalWorkspace, "create_stack", create)
    pulumi.engine.create("releases")


def test_wrong_passphrase_is_a_usage_error(pulumi: Pulumi) -> None:
    assert pulumi.failure("error: incorrect passphrase").code == "passphrase-wrong"


LOCKED = "the stack is currently locked by 1 lock(s)\ncreated by ann@"
ELSEWHERE = f"{LOCKED}elsewhere (pid 1) at 2026-01-01T00:00:00Z"
# Its name is that of this machine, and nothing here says that it was begun here.
NAMESAKE = f"{LOCKED}{os.uname().nodename} (pid 999999999) at 2026-01-01T00:00:00Z"
HERE = f"{LOCKED}{os.uname().nodename} (pid 4321) at 2026-01-01T00:00:00Z"


class Noted(Process):
    """The process that holds a lock, as a test wants it."""

    gone = False
    is_ending = False

    @property
    def is_gone(self) -> bool:
        return self.gone

    def ends(self, *, within_s: float) -> bool:
        return self.is_ending


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> type[Noted]:
    """Who is noted for every lock."""

    class Mine(Noted):
        pass

    found = Mine(machine="here", pid=4321, began=1)
    monkeypatch.setattr(StartedClis, "find", lambda *_: found)
    return Mine


@pytest.mark.parametrize("answer", [ELSEWHERE, NAMESAKE])
def test_lock_of_another_machine_is_respected_whatever_its_name(pulumi: Pulumi, answer: str) -> None:
    failure = pulumi.failure(answer, ConcurrentUpdateError)
    assert failure.code == "stack-locked"
    assert "`PULUMI_BACKEND_URL=" in failure.hint
    assert pulumi.unlocked == []


def test_lock_of_a_run_here_that_is_gone_is_broken(pulumi: Pulumi, noted: type[Noted]) -> None:
    noted.gone = True
    pulumi.failure(HERE, ConcurrentUpdateError)
    assert set(pulumi.unlocked) == {"test-releases"}


@pytest.mark.parametrize("abandoned", [True, False])
def test_lock_of_another_machine_is_broken_for_who_knows_that_its_run_is_dead(
    tmp_path: Path, abandoned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[LockHolder] = []

    def is_abandoned(holder: LockHolder) -> bool:
        asked.append(holder)
        return abandoned

    pulumi = Pulumi(tmp_path, monkeypatch, is_abandoned=is_abandoned)
    assert pulumi.failure(ELSEWHERE, ConcurrentUpdateError).code == "stack-locked"
    assert {(holder.host, holder.pid, holder.at) for holder in asked} == {("elsewhere", 1, "2026-01-01T00:00:00Z")}
    assert bool(pulumi.unlocked) == abandoned


def test_lock_that_a_living_run_shares_with_a_dead_one_is_not_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which would break both."""
    pulumi = Pulumi(tmp_path, monkeypatch, is_abandoned=lambda holder: holder.host == "elsewhere")
    both = f"{ELSEWHERE}\ncreated by bob@third (pid 2) at 2026-01-01T00:00:00Z"
    assert "bob@third" in pulumi.failure(both, ConcurrentUpdateError).message
    assert pulumi.unlocked == []


def test_nobody_is_asked_of_a_run_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noted: type[Noted]
) -> None:
    pulumi = Pulumi(tmp_path, monkeypatch, is_abandoned=lambda _: True)
    assert pulumi.failure(HERE, ConcurrentUpdateError).code == "stack-locked"
    assert pulumi.unlocked == []


def test_lock_of_which_nobody_says_who_holds_it_is_not_broken(pulumi: Pulumi) -> None:
    assert pulumi.failure("[409] Conflict: another update is in progress", ConcurrentUpdateError).code == "stack-locked"
    assert pulumi.unlocked == []


@pytest.mark.parametrize("ends", [True, False])
def test_lock_of_a_living_run_is_waited_for_and_never_broken(pulumi: Pulumi, ends: bool, noted: type[Noted]) -> None:
    tries = []
    noted.is_ending = ends

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
