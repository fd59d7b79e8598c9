"""What is deployed, and what takes new jobs."""

from dataclasses import dataclass, field

from lifecycle.domain.deployment import Standing, way_on
from lifecycle.domain.digest import Digest
from lifecycle.domain.intake import Intake
from lifecycle.domain.job_counts import JobCounts
from lifecycle.domain.measures import duration_text
from lifecycle.domain.permissions import READ_DEPLOYMENTS, READ_POINTER, READ_QUEUES, READ_STATE
from lifecycle.domain.recorded import RecordedRelease
from lifecycle.domain.release import DeployedRelease, Pointer, promoted_ids
from lifecycle.domain.release_tag import RELEASE_TAG
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.ports import Ports
from lifecycle.ports.journal import BEGUN, JournalEntry
from lifecycle.workflows.parallel import side_by_side

PERMISSIONS = {
    "status": (*READ_POINTER, *READ_DEPLOYMENTS, *READ_QUEUES, *READ_STATE, "batch:ListJobs", "ecr:DescribeImages")
}

_JOURNAL_LINES = 10
_AT_ONCE = 8
# By how much the clocks of two machines that AWS listens to may differ.
_CLOCKS_DIFFER_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseStatus(Intake):
    """A release, what Batch says of its queue and its compute environment, and how many jobs it has.

    `role` is `active`, `previous`, `candidate` for one that was made and never promoted, or "". `jobs` is
    None without a queue. `image_tag` is "" where the repository names none of its own.
    """

    recorded: RecordedRelease
    role: str
    jobs: JobCounts | None
    image_tag: str = ""

    @property
    def deployed(self) -> DeployedRelease:
        """The release itself."""
        return self.recorded.deployed


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """`standing` is the last deployment and who has the turn; `journal` holds the last mutations made from this machine, oldest first."""

    pointer: Pointer | None
    releases: tuple[ReleaseStatus, ...]
    journal: tuple[JournalEntry, ...]
    standing: Standing = field(default_factory=Standing)

    @property
    def next(self) -> str:
        """What is to be done about the last deployment; "" where nothing is."""
        last, silent_s = self.standing.last, self.standing.silent_s
        way = way_on(last, self.pointer) if last else ""
        if not way or not self.standing.running:
            return way
        if silent_s < _CLOCKS_DIFFER_S:
            return ""
        return f"it has shown no life for {duration_text(silent_s)}: if its process is gone, {way}"


def read_status(ports: Ports) -> Status:
    """Read everything that `capctl status` shows; a queue that is gone is a state, not an error.

    AWS is asked once about all releases, and once for the jobs of each, however many: ten calls for three releases.
    """
    with side_by_side(_AT_ONCE) as pool:
        reading = pool.submit(ports.pointers.read)
        queues, environments = pool.submit(ports.compute.queues), pool.submit(ports.compute.environments)
        tags, standing = pool.submit(_image_tags, ports), pool.submit(ports.deployments.standing, 1)
        record = ports.stack.recorded()
        by_queue = {queue.arn: queue for queue in queues.result()}
        counts = {
            one.id: pool.submit(ports.jobs.count, one.job_queue_arn, one.job_definition_arn)
            for one in record.deployed
            if one.job_queue_arn in by_queue
        }
        by_environment = {environment.arn: environment for environment in environments.result()}
        pointer, deployments = reading.result(), standing.result()
        roles = roles_of(record.deployed, pointer)
        releases = tuple(
            ReleaseStatus(
                recorded=one,
                role=roles.get(one.deployed.id, ""),
                queue=by_queue.get(one.deployed.job_queue_arn),
                environment=by_environment.get(one.deployed.compute_environment_arn),
                jobs=counts[one.deployed.id].result() if one.deployed.id in counts else None,
                image_tag=tags.result().get(one.deployed.image.digest, ""),
            )
            for one in record.releases
        )
    return Status(
        pointer=pointer,
        releases=releases,
        journal=_outcomes(ports.journal.entries())[-_JOURNAL_LINES:],
        standing=deployments,
    )


def roles_of(releases: tuple[DeployedRelease, ...], pointer: Pointer | None) -> dict[str, str]:
    """What each release is to the pointer, by its id, as in `ReleaseStatus.role`; a release without a role is not in it."""
    candidates = {deployed.id for deployed in releases} - {*promoted_ids(releases, pointer)}
    named = {pointer.previous_release_id: "previous", pointer.release_id: "active"} if pointer else {}
    return dict.fromkeys(candidates, "candidate") | named


def _outcomes(entries: tuple[JournalEntry, ...]) -> tuple[JournalEntry, ...]:
    """The end of each mutation; the begin only of one that never ended."""
    ended = {(entry.run_id, entry.step) for entry in entries if entry.outcome != BEGUN}
    return tuple(entry for entry in entries if entry.outcome != BEGUN or (entry.run_id, entry.step) not in ended)


def _image_tags(ports: Ports) -> dict[Digest, str]:
    """One tag of each image that has any but those of releases. A tag is a courtesy: where they cannot be read there are none."""
    try:
        images = ports.repository_images.list()
    except Interrupted:
        raise
    except CapctlError:
        return {}
    own = {image.digest: [tag for tag in image.tags if not tag.startswith(RELEASE_TAG)] for image in images}
    return {digest: tags[0] for digest, tags in own.items() if tags}
