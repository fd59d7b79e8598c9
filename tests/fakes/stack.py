"""`ports.Stack` in memory."""

from collections import Counter
from collections.abc import Collection

from lifecycle.domain.recorded import RecordedRelease, StackRecord
from lifecycle.domain.release import DeployedRelease, Release
from lifecycle.errors import CapctlError
from lifecycle.ports.stack import BaseOutputs, Operation, ResourceChange

ACCOUNT = "arn:aws:batch:us-west-2:123456789012"
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
PARTS = (_TEMPLATE, _DEFINITION, _ENVIRONMENT, _QUEUE)
# A compute environment that Batch refused exists all the same, and its queue was never asked for.
_FINISHED = {
    _TEMPLATE: Operation.SAME,
    _DEFINITION: Operation.SAME,
    _ENVIRONMENT: Operation.UPDATE,
    _QUEUE: Operation.CREATE,
}
_EXISTING = (_TEMPLATE, _DEFINITION, _ENVIRONMENT)


class FakeStack:
    """Releases in the order they were made. `fail_with` is raised by the next `add_release`, which leaves it half made.

    `outputs` are those of the base stack. `unreadable` is why nobody can say which exist. `surprise` is put before every preview, as if
    somebody had changed something by hand.
    """

    def __init__(self, *, bootstrapped: bool = True) -> None:
        self.bootstrapped = bootstrapped
        self.fail_with: CapctlError | None = None
        self.unreadable: CapctlError | None = None
        self.outputs = OUTPUTS
        self.surprise: tuple[ResourceChange, ...] = ()
        self.left_half_made: set[str] = set()
        self._releases: dict[str, DeployedRelease] = {}
        self._made: Counter[str] = Counter()

    def stand(self, release: DeployedRelease) -> None:
        """Let a release exist that an earlier version of capctl made; no hash gives its id."""
        self._releases[release.id] = release

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
        return tuple(self._releases.values())

    def half_made(self) -> frozenset[str]:
        return frozenset(self.left_half_made)

    def recorded(self) -> StackRecord:
        return StackRecord(releases=tuple(map(recorded, self.releases())), half_made=self.half_made())

    def preview_release(self, release: Release, *, needed: Collection[str] = ()) -> tuple[ResourceChange, ...]:
        self.base()
        operations = dict.fromkeys(self._releases, dict.fromkeys(PARTS, Operation.SAME))
        operations |= {
            left: dict.fromkeys(_EXISTING, Operation.SAME if left in needed else Operation.DELETE)
            for left in self.left_half_made
        }
        if release.id in self.left_half_made:
            operations[release.id] = _FINISHED
        elif release.id not in self._releases:
            operations[release.id] = dict.fromkeys(PARTS, Operation.CREATE)
        return self.surprise + tuple(
            ResourceChange(operation=operation, type=part, name=f"vision-{release_id}", release_id=release_id)
            for release_id, parts in operations.items()
            for part, operation in parts.items()
        )

    def damage(self, release_id: str) -> None:
        """Let a part of a release be missing from the state, as after a refresh."""
        del self._releases[release_id]
        self.left_half_made.add(release_id)

    def add_release(self, release: Release, *, needed: Collection[str] = ()) -> tuple[DeployedRelease, ...]:
        self.base()
        if self.fail_with:
            self.left_half_made.add(release.id)
            error, self.fail_with = self.fail_with, None
            raise error
        self.left_half_made &= {*needed} - {release.id}
        if release.id not in self._releases:
            self._made[release.id] += 1
            self._releases[release.id] = deployed(release, revision=self._made[release.id])
        return self.releases()

    def remove_releases(self, ids: Collection[str], *, needed: Collection[str] = ()) -> tuple[DeployedRelease, ...]:
        self.base()
        self.left_half_made &= {*needed} - {*ids}
        self._releases = {key: value for key, value in self._releases.items() if key not in ids}
        return self.releases()


def deployed(release: Release, *, revision: int = 1) -> DeployedRelease:
    """The ARNs that a release gets. Batch counts the revisions of a name on, also when all were deregistered."""
    name = f"vision-{release.id}"
    return DeployedRelease(
        id=release.id,
        ami_id=release.ami_id,
        image=release.image,
        model_set=release.model_set,
        compute_environment_arn=f"{ACCOUNT}:compute-environment/{name}",
        job_queue_arn=f"{ACCOUNT}:job-queue/{name}",
        job_definition_arn=f"{ACCOUNT}:job-definition/{name}:{revision}",
    )


def recorded(release: DeployedRelease) -> RecordedRelease:
    """What the stack says of a release that it made."""
    return RecordedRelease(
        deployed=release,
        created="2026-01-01T00:00:00Z",
        max_vcpus=40,
        template_id=f"lt-{release.id}",
        template_version="1",
    )
