"""`ports.Stack` on `FakeBatch`, with a state of its own as Pulumi has it."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Lock, get_ident
from typing import Any

from lifecycle.domain.job import QueueState
from lifecycle.domain.recorded import RecordedRelease, StackRecord
from lifecycle.domain.release import DeployedRelease, Release
from lifecycle.errors import CapctlError
from lifecycle.ports.stack import BaseOutputs, Operation, ResourceChange
from tests.fakes.batch import FakeBatch
from tests.fakes.batch_compute import ACCOUNT, BatchRefused
from tests.fakes.releases import make_release

OUTPUTS = BaseOutputs(
    bucket="vision-capctl-123456789012-us-west-2",
    repository="123456789012.dkr.ecr.us-west-2.amazonaws.com/vision",
    table="vision-capctl",
    log_group="/vision/jobs",
    job_role_arn="arn:aws:iam::123456789012:role/vision-job",
    execution_role_arn="arn:aws:iam::123456789012:role/vision-execution",
    instance_profile_arn="arn:aws:iam::123456789012:instance-profile/vision-instance",
    queue_url="https://sqs.us-west-2.amazonaws.com/123456789012/vision-ingest",
    dead_letters_url="https://sqs.us-west-2.amazonaws.com/123456789012/vision-dead",
    tasks_table="vision-tasks",
)
_TEMPLATE, _DEFINITION = "aws:ec2/launchTemplate:LaunchTemplate", "aws:batch/jobDefinition:JobDefinition"
_ENVIRONMENT, _QUEUE = "aws:batch/computeEnvironment:ComputeEnvironment", "aws:batch/jobQueue:JobQueue"
# In the order in which they are made.
PARTS = (_TEMPLATE, _DEFINITION, _ENVIRONMENT, _QUEUE)
_LOOK_AGAIN_S = 1.0

Call = Callable[[str, Callable[[], Any]], Any]


@dataclass(slots=True, kw_only=True)
class _Record:
    """What the state holds of a release: what it is, and which parts of it, by the order in which they were made.

    A part in `failed` was made and never came to life.
    """

    deployed: DeployedRelease
    max_vcpus: int
    parts: dict[str, int] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        return self.deployed.job_queue_arn.rpartition("/")[2]

    @property
    def is_whole(self) -> bool:
        return self.parts.keys() == {*PARTS} and not self.failed


class FakeStack:
    """Releases in the order they were made. `fail_with` is raised by the next `add_release`, which leaves it half made.

    `outputs` are those of the base stack. `unreadable` is why nobody can say which exist. `surprise` is put before every preview, as if
    somebody had changed something by hand.

    Every call that the engine makes to AWS goes through `call`, with its name. What such a call did and nobody wrote into the state, the
    next run that finishes the release finds, as the engine's recovery does.
    """

    def __init__(self, *, bootstrapped: bool = True, batch: FakeBatch | None = None) -> None:
        self.bootstrapped = bootstrapped
        self.batch = batch or FakeBatch()
        self.fail_with: CapctlError | None = None
        self.unreadable: CapctlError | None = None
        self.outputs = OUTPUTS
        self.surprise: tuple[ResourceChange, ...] = ()
        self.call: Call = lambda what, effect: effect()
        self._records: dict[str, _Record] = {}
        self._made = 0
        self._lock = Lock()
        self._holder = 0

    @property
    def left_half_made(self) -> set[str]:
        """Ids of the releases that lack a part."""
        return {release_id for release_id, record in self._records.items() if not record.is_whole}

    def stand(self, release: DeployedRelease) -> None:
        """Let a release exist that an earlier version of capctl made; no hash gives its id."""
        like = replace(make_release(), ami_id=release.ami_id, image=release.image, model_set=release.model_set)
        record = self._records[release.id] = _Record(deployed=release, max_vcpus=like.parameters.max_vcpus)
        for part in PARTS:
            self._make(record, part, like)
        record.deployed = release

    def leave(self, release_id: str) -> None:
        """Let a killed run have left a release half made."""
        like = make_release()
        left = deployed(like, release_id=release_id)
        record = self._records[release_id] = _Record(deployed=left, max_vcpus=like.parameters.max_vcpus)
        for part in (_TEMPLATE, _DEFINITION, _ENVIRONMENT):
            self._make(record, part, like)
        record.failed = {_ENVIRONMENT}

    def preview_base(self) -> tuple[ResourceChange, ...]:
        operation = Operation.SAME if self.bootstrapped else Operation.CREATE
        made = ResourceChange(operation=operation, type="aws:s3/bucket:Bucket", name="data")
        return (*self.surprise, made)

    def apply_base(self) -> BaseOutputs:
        self.bootstrapped = True
        return self.outputs

    def base(self) -> BaseOutputs:
        if not self.bootstrapped:
            raise CapctlError("base-missing", "There is no base stack", hint="Run `capctl bootstrap` once")
        return self.outputs

    def releases(self) -> tuple[DeployedRelease, ...]:
        if self.unreadable:
            raise self.unreadable
        whole = [record for record in self._records.values() if record.is_whole]
        return tuple(record.deployed for record in sorted(whole, key=lambda record: max(record.parts.values())))

    def half_made(self) -> frozenset[str]:
        return frozenset(self.left_half_made)

    def recorded(self) -> StackRecord:
        return StackRecord(releases=tuple(map(self._recorded, self.releases())), half_made=self.half_made())

    def preview_release(self, release: Release, *, needed: Collection[str] = ()) -> tuple[ResourceChange, ...]:
        self.base()
        records = {**self._records, release.id: self._record_of(release)}
        changes = [
            ResourceChange(operation=operation, type=part, name=record.name, release_id=release_id)
            for release_id, record in records.items()
            for part, operation in _operations(
                record, is_wanted=release_id == release.id, is_kept=record.is_whole or release_id in needed
            )
        ]
        return (*self.surprise, *changes)

    def damage(self, release_id: str) -> None:
        """Let the definition of a release be missing in the state, as after a refresh."""
        record = self._records[release_id]
        self.batch.deregister_definitions(record.name)
        del record.parts[_DEFINITION]

    def add_release(self, release: Release, *, needed: Collection[str] = ()) -> tuple[DeployedRelease, ...]:
        self.base()
        with self._held():
            record = self._records[release.id] = self._record_of(release)
            record.parts = {part: made for part, made in record.parts.items() if self._has(record, part)}
            for part in PARTS:
                self._make(record, part, release)
                if part == _ENVIRONMENT:
                    self._settle(record)
            self._remove(self.left_half_made - {*needed})
        return self.releases()

    def remove_releases(self, ids: Collection[str], *, needed: Collection[str] = ()) -> tuple[DeployedRelease, ...]:
        self.base()
        with self._held():
            self._remove({*ids} | (self.left_half_made - {*needed}))
        return self.releases()

    @contextmanager
    def _held(self) -> Iterator[None]:
        """The stack's lock. Raises `CapctlError("stack-locked")` where waiting for it would never end."""
        if self._holder == get_ident():
            raise CapctlError(
                "stack-locked", "Another run holds the lock of the stack", hint="Run again once it is done"
            )
        with self._lock:
            self._holder = get_ident()
            try:
                yield
            finally:
                self._holder = 0

    def _recorded(self, release: DeployedRelease) -> RecordedRelease:
        return recorded(release, max_vcpus=self._records[release.id].max_vcpus)

    def _record_of(self, release: Release) -> _Record:
        return self._records.get(release.id) or _Record(
            deployed=deployed(release), max_vcpus=release.parameters.max_vcpus
        )

    def _has(self, record: _Record, part: str) -> bool:
        """Whether AWS has it, whatever the state says."""
        batch, made = self.batch, record.deployed
        return {
            _TEMPLATE: record.name in batch.templates,
            _DEFINITION: bool(batch.revisions_of(record.name)),
            _ENVIRONMENT: made.compute_environment_arn in batch.environments,
            _QUEUE: batch.has_queue(made.job_queue_arn),
        }[part]

    def _make(self, record: _Record, part: str, release: Release) -> None:
        """Unless it is there, whoever made it."""
        if part in record.parts:
            return
        batch, made, name = self.batch, record.deployed, record.name
        what, effect = {
            _TEMPLATE: ("ec2.CreateLaunchTemplate", lambda: batch.templates.setdefault(name, release.ami_id)),
            _DEFINITION: ("batch.RegisterJobDefinition", lambda: batch.register_definition(name, release)),
            _ENVIRONMENT: ("batch.CreateComputeEnvironment", lambda: batch.create_environment(name, release)),
            _QUEUE: ("batch.CreateJobQueue", lambda: batch.create_queue(name, made.compute_environment_arn)),
        }[part]
        if not self._has(record, part):
            try:
                self.call(what, effect)
            except BatchRefused as refused:
                raise _failed(f"creating {part}: ClientException: {refused}", verdict=True) from refused
        if part == _DEFINITION:
            record.deployed = replace(made, job_definition_arn=batch.revisions_of(name)[-1])
        self._made += 1
        record.parts[part] = self._made

    def _settle(self, record: _Record) -> None:
        """Wait, as the provider does, until the environment is VALID."""
        record.failed.add(_ENVIRONMENT)
        if self.fail_with:
            error, self.fail_with = self.fail_with, None
            raise error
        arn = record.deployed.compute_environment_arn
        while (found := self.batch.condition(arn)).state is QueueState.CREATING:
            self.batch.clock.sleep(_LOOK_AGAIN_S)
        if found.state is QueueState.INVALID:
            raise _failed(f"unexpected state 'INVALID', wanted target 'VALID': {found.reason}", verdict=True)
        record.failed.clear()

    def _remove(self, ids: Collection[str]) -> None:
        """As much as Batch lets go of; raises for the rest once the others are gone."""
        failures: list[CapctlError] = []
        for release_id in [each for each in self._records if each in ids]:
            record = self._records[release_id]
            try:
                self._unmake(record)
            except BatchRefused as refused:
                failures.append(_failed(f"deleting {record.name}: ClientException: {refused}"))
            else:
                del self._records[release_id]
        if failures:
            raise failures[0]

    def _unmake(self, record: _Record) -> None:
        batch, gone, name = self.batch, record.deployed, record.name
        for part, what, effect in (
            (_QUEUE, "batch.DeleteJobQueue", lambda: batch.delete_queue(gone.job_queue_arn)),
            (_DEFINITION, "batch.DeregisterJobDefinition", lambda: batch.deregister_definitions(name)),
            (
                _ENVIRONMENT,
                "batch.DeleteComputeEnvironment",
                lambda: batch.delete_environment(gone.compute_environment_arn),
            ),
            (_TEMPLATE, "ec2.DeleteLaunchTemplate", lambda: batch.templates.pop(name, None)),
        ):
            self.call(what, effect)
            record.parts.pop(part, None)
        record.failed.clear()


def _operations(record: _Record, *, is_wanted: bool, is_kept: bool) -> Iterator[tuple[str, Operation]]:
    """What becomes of each part."""
    for part in PARTS:
        if is_wanted and part not in record.parts:
            yield part, Operation.CREATE
        elif is_wanted and part in record.failed:
            yield part, Operation.UPDATE
        elif part in record.parts:
            yield part, Operation.SAME if is_wanted or is_kept else Operation.DELETE


def _failed(detail: str, *, verdict: bool = False) -> CapctlError:
    return CapctlError("stack-failed", "Pulumi failed", details=(detail,), verdict=verdict)


def deployed(release: Release, *, revision: int = 1, release_id: str = "") -> DeployedRelease:
    """The ARNs that a release gets, by its own id or another. Batch counts the revisions of a name on, also when all were deregistered."""
    release_id = release_id or release.id
    name = f"vision-{release_id}"
    return DeployedRelease(
        id=release_id,
        ami_id=release.ami_id,
        image=release.image,
        model_set=release.model_set,
        compute_environment_arn=f"{ACCOUNT}:compute-environment/{name}",
        job_queue_arn=f"{ACCOUNT}:job-queue/{name}",
        job_definition_arn=f"{ACCOUNT}:job-definition/{name}:{revision}",
    )


def template_id(name: str) -> str:
    """Of a launch template."""
    return f"lt-{name.rpartition('-')[2]}"


def recorded(release: DeployedRelease, *, max_vcpus: int = 40) -> RecordedRelease:
    """What the stack says of a release that it made."""
    return RecordedRelease(
        deployed=release,
        created="2026-01-01T00:00:00Z",
        max_vcpus=max_vcpus,
        template_id=template_id(release.id),
        template_version="1",
    )
