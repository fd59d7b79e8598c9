"""Compare what was deployed with what there is. Nothing is changed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.channel import STABLE
from lifecycle.domain.difference import Difference, Severity, World
from lifecycle.domain.drift import differences
from lifecycle.domain.measures import counted
from lifecycle.domain.permissions import READ_AMIS, READ_CHANNEL, READ_POINTER, READ_QUEUES, READ_STATE
from lifecycle.domain.recorded import StackRecord
from lifecycle.domain.usage import Unread
from lifecycle.errors import CapctlError, Denied, Inconclusive, Interrupted, UsageError
from lifecycle.ports import Ports
from lifecycle.ports.stack import Stack
from lifecycle.workflows.lookups import find_ami, project_amis
from lifecycle.workflows.parallel import side_by_side

PERMISSIONS = {
    "drift": (
        *READ_AMIS,
        *READ_CHANNEL,
        *READ_POINTER,
        *READ_QUEUES,
        *READ_STATE,
        "batch:DescribeJobDefinitions",
        "ec2:DescribeInstances",
        "ec2:DescribeLaunchTemplateVersions",
        "ecr:DescribeImages",
    )
}

T = TypeVar("T")

_AT_ONCE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What differs, the worst first, and the ids of the releases that were looked at, oldest first."""

    differences: tuple[Difference, ...]
    release_ids: tuple[str, ...]

    @property
    def faults(self) -> tuple[Difference, ...]:
        """What is not as it was deployed."""
        return self._of(Severity.FAULT)

    @property
    def unread(self) -> tuple[Difference, ...]:
        """What could not be looked at."""
        return self._of(Severity.UNREAD)

    def _of(self, severity: Severity) -> tuple[Difference, ...]:
        return tuple(one for one in self.differences if one.severity is severity)


def find_drift(ports: Ports, target: Target) -> Drift:
    """Look at everything, in ten calls to AWS side by side while Pulumi tells what it made.

    What cannot be read is a difference too, of which nobody knows what it hides. Raises where nothing at all could be read, because of
    credentials or of the configuration.
    """
    world = _read(ports, target)
    record = world.record or StackRecord()
    return Drift(differences=differences(world), release_ids=tuple(one.id for one in record.deployed))


def drift_failure(drift: Drift, target: Target) -> CapctlError | None:
    """What the drift amounts to: nothing without faults, as long as everything was looked at."""
    where = f"target `{target.name}` in {target.region}"
    if drift.faults:
        return CapctlError(
            "drifted",
            f"{counted(len(drift.faults), 'fault')} in what was deployed on {where}",
            hint="Do what stands beside each, then run `capctl drift` again",
        )
    if drift.unread:
        unread = ", ".join(dict.fromkeys(one.what for one in drift.unread))
        return Inconclusive(
            "drift-unproven",
            f"Not everything of {where} could be looked at ({unread}), so nobody knows whether it drifted",
            hint="Mend what is told of each; where AWS refused, the role needs the row of `capctl drift` in docs/iam.md",
        )
    return None


class _Reading:
    """Reads of which each may fail by itself: then its result is None, and why stands in `unread`."""

    def __init__(self) -> None:
        self.unread: list[Unread] = []

    def of(self, source: str, read: Callable[[], T]) -> T | None:
        """What `read` gives. Raises what would befall every other read as well."""
        try:
            return read()
        except (Interrupted, UsageError):
            raise
        except CapctlError as error:
            if isinstance(error, Denied) and error.code != "permission-denied":
                raise
            self.unread.append(Unread(source=source, why=error.message))
            return None


def _read(ports: Ports, target: Target) -> World:
    reading, compute = _Reading(), ports.compute
    with side_by_side(_AT_ONCE) as pool:
        base, pointer = pool.submit(_has_base, ports.stack), pool.submit(ports.pointers.read)
        queues, environments = pool.submit(compute.queues), pool.submit(compute.environments)
        definitions, templates = pool.submit(compute.definitions), pool.submit(compute.templates)
        hosts = pool.submit(compute.hosts)
        amis = pool.submit(project_amis, ports.amis, target)
        stable = pool.submit(ports.channels.read, STABLE)
        images = pool.submit(ports.repository_images.list)
        record = reading.of("releases of the stack", ports.stack.recorded)
        entry = reading.of(f"channel {STABLE}", stable.result)
        return World(
            project=target.project,
            stack=f"{target.name}-releases",
            repository=target.repository,
            pointer=reading.of("pointer", pointer.result),
            has_base=reading.of("base stack", base.result),
            record=record,
            queues=_by_key(reading.of("queues", queues.result), lambda one: one.arn),
            environments=_by_key(reading.of("compute environments", environments.result), lambda one: one.arn),
            definitions=_by_key(reading.of("job definitions", definitions.result), lambda one: one.arn),
            templates=_by_key(reading.of("launch templates", templates.result), lambda one: one.id),
            hosts=reading.of("instances", hosts.result),
            amis=reading.of("AMIs", lambda: _amis(ports, amis.result(), record)),
            stable=entry.ami_id if entry else None,
            image_tags=reading.of("images", lambda: {image.digest: image.tags for image in images.result()}),
            unread=tuple(reading.unread),
        )


def _has_base(stack: Stack) -> bool:
    try:
        stack.base()
    except CapctlError as error:
        if error.code == "base-missing":
            return False
        raise
    return True


def _amis(ports: Ports, listed: Mapping[AmiId, AmiRecord], record: StackRecord | None) -> Mapping[AmiId, AmiRecord]:
    """Those that are listed, and of the releases' those that are not, because they lost their tag or are not the project's."""
    named = {one.ami_id for one in record.deployed if one.ami_id} if record else set[AmiId]()
    others = (find_ami(ports.amis, ami_id) for ami_id in sorted(named - listed.keys()))
    return {**listed, **{ami.id: ami for ami in others if ami}}


def _by_key(parts: Iterable[T] | None, key: Callable[[T], str]) -> Mapping[str, T] | None:
    return None if parts is None else {key(part): part for part in parts}
