"""The Pulumi adapter without the CLI: where it is found, what it reports, what a killed run left."""

import os
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pulumi.automation.errors import CommandError, ConcurrentUpdateError, StackAlreadyExistsError

from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.pulumi_adopt import adopted
from lifecycle.adapters.pulumi_auto import PulumiStack
from lifecycle.adapters.pulumi_change import ReleasesChange
from lifecycle.adapters.pulumi_cli import VERSION, find_pulumi, is_running, lock_holders
from lifecycle.adapters.pulumi_engine import PulumiEngine
from lifecycle.adapters.pulumi_events import EventLog
from lifecycle.adapters.pulumi_state import backend_url, secrets_environment, state_folder
from lifecycle.errors import CapctlError, ExitCode, UsageError
from lifecycle.ports.stack import Operation, ResourceChange
from pulumi_stack.config import ReleaseSpec, StandingRelease
from tests.fakes.releases import make_release
from tests.fakes.stack import OUTPUTS
from tests.fakes.states import KINDS, URN, base_state, state_of
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi


def executable(path: Path, version: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho v{version}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "capctl" / "tools" / f"pulumi-v{VERSION}" / "pulumi"


def test_cli_on_path_of_the_same_version_comes_first(tmp_path: Path, cache: Path) -> None:
    executable(cache, VERSION)
    on_path = executable(tmp_path / "bin" / "pulumi", VERSION)
    assert find_pulumi(str(on_path.parent)) == on_path


def test_cli_on_path_of_another_version_is_passed_over(tmp_path: Path, cache: Path) -> None:
    executable(cache, VERSION)
    on_path = executable(tmp_path / "bin" / "pulumi", "3.100.0")
    assert find_pulumi(str(on_path.parent)) == cache


def test_missing_cli_says_what_to_do(tmp_path: Path, cache: Path) -> None:
    on_path = executable(tmp_path / "bin" / "pulumi", "3.100.0")
    with pytest.raises(CapctlError, match="is another version") as failed:
        find_pulumi(str(on_path.parent))
    assert failed.value.code == "pulumi-missing"
    assert "make setup" in failed.value.hint


@pytest.mark.parametrize(
    ("state", "url"),
    [
        ("s3", "s3://vision-capctl-state-123456789012-us-west-2?region=us-west-2&awssdk=v2"),
        ("s3://other/prefix", "s3://other/prefix?region=us-west-2&awssdk=v2"),
        ("file:///srv/state", "file:///srv/state"),
    ],
)
def test_backend_is_where_the_configuration_says(tmp_path: Path, state: str, url: str) -> None:
    assert backend_url(make_target(tmp_path, stack={"state": state})) == url


def test_backend_of_an_emulator_is_reached_by_path(tmp_path: Path) -> None:
    url = backend_url(make_target(tmp_path, endpoint_url="http://127.0.0.1:1", stack={"state": "s3"}))
    assert url.endswith("&endpoint=http%3A%2F%2F127.0.0.1%3A1&s3ForcePathStyle=true")


def test_other_backends_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as failed:
        backend_url(make_target(tmp_path, stack={"state": "https://api.example.org"}))
    assert failed.value.code == "state-unknown"


def test_own_state_gets_one_passphrase_that_only_its_owner_reads(tmp_path: Path) -> None:
    target = make_target(tmp_path, stack={"state": "file://state"})
    first = secrets_environment(target, {})
    written = Path(first["PULUMI_CONFIG_PASSPHRASE_FILE"])
    passphrase = written.read_text()
    assert secrets_environment(target, {}) == first
    assert written.read_text() == passphrase
    assert written.stat().st_mode & 0o777 == 0o600
    assert written.parent == state_folder(target)
    assert [path.name for path in written.parent.iterdir()] == ["passphrase"]


def test_shared_state_needs_a_passphrase_from_the_team(tmp_path: Path) -> None:
    target = make_target(tmp_path, stack={"state": "s3"})
    with pytest.raises(UsageError) as failed:
        secrets_environment(target, {})
    assert failed.value.code == "passphrase-missing"
    given = {"PULUMI_CONFIG_PASSPHRASE": "x"}
    assert secrets_environment(target, given | {"HOME": "/"}) == given


def test_key_of_a_key_service_needs_no_passphrase(tmp_path: Path) -> None:
    target = make_target(tmp_path, stack={"state": "s3", "secrets_provider": "awskms://alias/capctl"})
    assert secrets_environment(target, {}) == {}


def test_holders_are_read_from_pulumi_message() -> None:
    message = (
        "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock"
        " file with `pulumi cancel`.\n  file:///s/.pulumi/locks/organization/vision/dev/1.json:"
        " created by root@box (pid 1234) at 2026-11-21T10:00:00Z"
    )
    assert lock_holders(message) == [{"user": "root", "host": "box", "pid": "1234", "at": "2026-11-21T10:00:00Z"}]


def test_only_a_pulumi_process_counts_as_running() -> None:
    assert not is_running(os.getpid())
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    assert not is_running(ended.pid)


def test_cli_that_nobody_has_reaped_yet_has_ended(tmp_path: Path) -> None:
    cli = tmp_path / "pulumi"
    shutil.copy("/bin/sleep", cli)
    with subprocess.Popen([str(cli), "60"]) as running:
        pidfd = os.pidfd_open(running.pid)
        assert is_running(running.pid)
        running.kill()
        select.select([pidfd], [], [], 10)
        assert not is_running(running.pid)
        os.close(pidfd)


class _Cloud:
    """An `AwsSession` whose clients know one launch template and one queue."""

    def client(self, service: str) -> Any:
        return self

    def describe_launch_templates(self, LaunchTemplateNames: list[str]) -> dict[str, Any]:  # noqa: N803
        return {"LaunchTemplates": [{"LaunchTemplateId": f"lt-of-{LaunchTemplateNames[0]}"}]}

    def describe_job_queues(self, jobQueues: list[str]) -> dict[str, Any]:  # noqa: N803
        return {"jobQueues": []}


def pending(kind: str, operation: str = "creating", name: str = "vision-1") -> dict[str, Any]:
    resource = {"urn": f"{URN}{KINDS[kind]}::{name}", "type": KINDS[kind], "inputs": {"name": name}}
    return {"type": operation, "resource": resource}


def adopt(*operations: dict[str, Any], resources: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    state = {"resources": resources, "pending_operations": list(operations), "manifest": {"x": 1}}
    return adopted(state, cast(AwsSession, _Cloud()))


def test_resource_whose_creation_was_cut_off_is_adopted_under_its_id() -> None:
    state = adopt(pending("LaunchTemplate"), pending("ComputeEnvironment"))
    assert [resource["id"] for resource in state["resources"]] == ["lt-of-vision-1", "vision-1"]
    assert state["pending_operations"] == []
    assert state["manifest"] == {"x": 1}


def test_creation_that_never_happened_is_forgotten() -> None:
    assert adopt(pending("JobQueue"))["resources"] == []


def test_resource_that_is_listed_already_is_not_adopted_twice() -> None:
    listed = pending("ComputeEnvironment")["resource"] | {"id": "vision-1"}
    assert adopt(pending("ComputeEnvironment"), resources=[listed])["resources"] == [listed]


def test_cut_off_deletions_and_updates_only_lose_their_mark() -> None:
    assert adopt(pending("ComputeEnvironment", "deleting"), pending("LaunchTemplate", "updating"))["resources"] == []


def _pre_event(operation: str, kind: str, name: str, parent: str = "pulumi:pulumi:Stack::s") -> Any:
    state = SimpleNamespace(parent=f"{URN}{parent}")
    old, new = (state, None) if operation == "delete" else (None, state)
    metadata = SimpleNamespace(op=operation, type=kind, urn=f"{URN}{kind}::{name}", old=old, new=new)
    return SimpleNamespace(resource_pre_event=SimpleNamespace(metadata=metadata), diagnostic_event=None)


def _diagnostic(severity: str, message: str, urn: str = "") -> Any:
    diagnostic = SimpleNamespace(severity=severity, message=message, urn=urn)
    return SimpleNamespace(resource_pre_event=None, diagnostic_event=diagnostic)


def test_events_become_changes_and_groupings_are_left_out() -> None:
    ui = FakeUi()
    log = EventLog(ui)
    for event in (
        _pre_event("create", "pulumi:pulumi:Stack", "s"),
        _pre_event("create", "capctl:release:Release", "r"),
        _pre_event("create-replacement", KINDS["JobQueue"], "q"),
        _pre_event("replace", KINDS["JobQueue"], "q"),
        _pre_event("same", KINDS["JobDefinition"], "d"),
    ):
        log(event)
    assert log.changes == (
        ResourceChange(operation=Operation.REPLACE, type=KINDS["JobQueue"], name="q"),
        ResourceChange(operation=Operation.SAME, type=KINDS["JobDefinition"], name="d"),
    )
    assert ui.lines == ["detail: replace JobQueue q", "detail: replace JobQueue q"]


@pytest.mark.parametrize("operation", list(Operation))
def test_change_names_the_release_that_it_belongs_to(operation: Operation) -> None:
    log = EventLog(FakeUi())
    log(_pre_event(operation, KINDS["JobQueue"], "any-name", parent="capctl:release:Release::0123456789ab"))
    (change,) = log.changes
    assert (change.operation, change.release_id) == (operation, "0123456789ab")


def test_errors_are_kept_and_debug_is_not_shown() -> None:
    ui = FakeUi()
    log = EventLog(ui)
    log(_diagnostic("debug", "registering resource"))
    log(_diagnostic("warning", "using pulumi-resource-aws from $PATH at /x"))
    log(_diagnostic("error", "<{%reset%}>AccessDenied: no<{%reset%}>", f"{URN}{KINDS['JobQueue']}::q"))
    assert log.errors == ["q: AccessDenied: no"]
    assert ui.lines == ["detail: pulumi: AccessDenied: no"]


def failing(tmp_path: Path, text: str, kind: type[CommandError] = CommandError) -> CapctlError:
    """What the engine makes of a CLI that fails with `text`."""
    engine = PulumiEngine(make_target(tmp_path, stack={"state": "file://state"}), FakeUi(), {})

    def fail(_: EventLog) -> None:
        raise kind(cast(Any, text))

    with pytest.raises(CapctlError) as failed:
        engine._run("updating", "base", fail)
    return failed.value


def test_failure_carries_the_end_of_the_answer(tmp_path: Path) -> None:
    failure = failing(tmp_path, "\n code: 255\n stdout: \n stderr: error: no such thing\n")
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
    tmp_path: Path, said: str, code: str, exit_code: ExitCode
) -> None:
    failure = failing(tmp_path, f"error: operation error IAM: CreateRole, https response error, api error {said}")
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
def test_only_what_aws_says_of_a_resource_is_a_verdict(tmp_path: Path, said: str, verdict: bool) -> None:
    engine = PulumiEngine(make_target(tmp_path), FakeUi(), {})
    failure = engine._failure("updating", "releases", CommandError(cast(Any, "")), [said])
    assert failure.is_verdict == verdict
    assert failure.details == (said,)


def test_stack_that_another_run_made_meanwhile_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Workspace:
        def create_stack(self, name: str) -> None:
            raise StackAlreadyExistsError(cast(Any, f"stack '{name}' already exists"))

    monkeypatch.setattr(PulumiEngine, "_workspace", Workspace())
    PulumiEngine(make_target(tmp_path), FakeUi(), {}).create("releases")


def test_wrong_passphrase_is_a_usage_error(tmp_path: Path) -> None:
    assert failing(tmp_path, "error: incorrect passphrase").code == "passphrase-wrong"


@pytest.mark.parametrize(
    "holder", ["created by ann@elsewhere (pid 1)", f"created by ann@{os.uname().nodename} (pid 999999999)"]
)
def test_lock_of_another_machine_is_respected_and_a_dead_one_here_is_broken(
    tmp_path: Path, holder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lifecycle.adapters.pulumi_engine._Stack.cancel", lambda _: None)
    monkeypatch.setattr("lifecycle.adapters.pulumi_engine._Stack.__init__", lambda *_: None)
    monkeypatch.setattr(PulumiEngine, "_workspace", None)
    text = f"the stack is currently locked by 1 lock(s)\n{holder} at 2026-01-01T00:00:00Z"
    failure = failing(tmp_path, text, ConcurrentUpdateError)
    assert failure.code == "stack-locked"
    assert ("ann@elsewhere" in failure.message) is ("elsewhere" in holder)


HERE = f"created by ann@{os.uname().nodename} (pid 4321) at 2026-01-01T00:00:00Z"


@pytest.mark.parametrize("ends", [True, False])
def test_lock_of_a_living_run_is_waited_for_and_never_broken(
    tmp_path: Path, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, tries = [], []
    engine = PulumiEngine(make_target(tmp_path, stack={"state": "file://state"}), FakeUi(), {})
    monkeypatch.setattr(PulumiEngine, "_break_lock", lambda _, name: broken.append(name))
    monkeypatch.setattr("lifecycle.adapters.pulumi_engine.is_running", lambda pid: True)
    monkeypatch.setattr("lifecycle.adapters.pulumi_engine._ends", lambda pid, within_s: ends)

    def update(_: EventLog) -> None:
        tries.append("once")
        if len(tries) == 1:
            raise ConcurrentUpdateError(cast(Any, HERE))

    if ends:
        engine._run("updating", "releases", update)
        assert len(tries) == 2
    else:
        with pytest.raises(CapctlError, match=r"by ann@.* \(pid 4321\) since 2026-01-01") as failed:
            engine._run("updating", "releases", update)
        assert failed.value.code == "stack-locked"
    assert broken == []


class _Engine:
    """An engine before whose update another run adds a release."""

    def __init__(self, state: dict[str, Any], under_lock: dict[str, Any]) -> None:
        self._state, self._under_lock = state, under_lock

    def export(self, name: str) -> dict[str, Any]:
        return self._state if name == "releases" else base_state(asdict(OUTPUTS))

    def current(self, name: str) -> dict[str, Any]:
        return self.export(name)

    def up(self, name: str, program: Callable[[], None], *, refresh: bool, targets: list[str]) -> None:
        self._state = self._under_lock
        program()


@pytest.mark.parametrize(("removed", "kept"), [(None, [1, 2, 3]), (1, [2])])
def test_wanted_releases_are_those_that_exist_under_the_lock(
    tmp_path: Path, removed: int | None, kept: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    declared: list[str] = []

    def declare(_: object, standing: Sequence[StandingRelease], specs: Sequence[ReleaseSpec]) -> None:
        declared.extend(release.id for release in standing)
        declared.extend(spec.id for spec in specs)

    monkeypatch.setattr("pulumi_stack.releases.releases", declare)
    target = make_target(tmp_path)
    stack = PulumiStack(target, AwsSession(target), FakeUi(), environment={})
    monkeypatch.setattr(
        stack, "_engine", _Engine(state_of(make_release(1)), state_of(make_release(1), make_release(2)))
    )
    if removed:
        stack.remove_releases({make_release(removed).id})
    else:
        stack.add_release(make_release(3))
    assert declared == [make_release(number).id for number in kept]


def test_engine_may_touch_only_what_comes_goes_or_is_half_made_and_not_needed() -> None:
    whole, half, wanted = make_release(1), make_release(2), make_release(3)
    state = {"resources": state_of(whole)["resources"] + state_of(half, without="JobQueue")["resources"]}
    target = make_target(Path())

    def released(change: ReleasesChange) -> set[str]:
        patterns = change.targets(target, state)
        return {one.id for one in (whole, half, wanted) if any(one.id in pattern for pattern in patterns)}

    assert released(ReleasesChange.from_state(state, added=wanted)) == {wanted.id, half.id}
    assert released(ReleasesChange.from_state(state, added=wanted, needed={half.id})) == {wanted.id}
    assert released(ReleasesChange.from_state(state, removed={whole.id}, needed={half.id})) == {whole.id}
    assert ReleasesChange.from_state(state, removed={wanted.id}, needed={half.id}).targets(target, state) == []


def test_stack_without_a_state_while_it_is_changed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = PulumiEngine(make_target(tmp_path), FakeUi(), {})
    monkeypatch.setattr(PulumiEngine, "export", lambda *_: None)
    with pytest.raises(CapctlError, match="has no state while it is being changed") as failed:
        engine.repair("releases", lambda now: now)
    assert (failed.value.code, failed.value.is_verdict) == ("stack-failed", False)
