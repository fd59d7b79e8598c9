"""Drift: in what the world differs from what was deployed."""

from collections.abc import Iterator, Mapping, Set
from typing import Protocol

from lifecycle.domain.ami import AmiId
from lifecycle.domain.channel import STABLE
from lifecycle.domain.compute import release_in
from lifecycle.domain.difference import Difference, Severity, World
from lifecycle.domain.recorded import StackRecord
from lifecycle.domain.release import DeployedRelease, Place, needed_ids
from lifecycle.domain.release_drift import ReleaseDrift

_DO = {
    "queue": "`aws batch update-job-queue --job-queue {0} --state DISABLED`, then `aws batch delete-job-queue --job-queue {0}`",
    "compute environment": "`aws batch update-compute-environment --compute-environment {0} --state DISABLED`,"
    " then `aws batch delete-compute-environment --compute-environment {0}`",
    "job definition": "`aws batch deregister-job-definition --job-definition {0}`",
    "launch template": "`aws ec2 delete-launch-template --launch-template-name {0}`",
    "instance": "`aws ec2 terminate-instances --instance-ids {0}`",
}


class _Named(Protocol):
    @property
    def name(self) -> str: ...


def differences(world: World) -> tuple[Difference, ...]:
    """Everything that differs, the worst first; of what could not be read one difference per source."""
    found = [*_unread(world), *_base(world)]
    if world.record is not None:
        found += _pointer(world, world.record)
        for recorded in world.record.releases:
            found += ReleaseDrift(world=world, recorded=recorded).differences()
        found += _half_made(world, world.record)
        found += _orphans(world, world.record)
        found += _newer(world, world.record)
    return tuple(sorted(found, key=lambda one: [*Severity].index(one.severity)))


def _unread(world: World) -> Iterator[Difference]:
    for one in world.unread:
        yield Difference(
            severity=Severity.UNREAD,
            code="unread",
            what=one.source,
            expected="looked at",
            found=one.why,
            next="mend what is told; where AWS refused, the role needs the row of `capctl drift` in docs/iam.md",
        )


def _base(world: World) -> Iterator[Difference]:
    if world.has_base is False:
        yield Difference(
            severity=Severity.FAULT,
            code="base-missing",
            what="base stack",
            expected="bucket, repository, table, log group and roles",
            found="an output is missing",
            next="`capctl bootstrap`",
        )


def _pointer(world: World, record: StackRecord) -> Iterator[Difference]:
    """Where jobs go, and where a rollback leads to, which writes what the pointer says without a look at the stack."""
    pointer = world.pointer
    if pointer is None:
        return
    by_id = {deployed.id: deployed for deployed in record.deployed}
    has_way_back = pointer.previous_release_id in by_id
    yield from _place(
        "pointer",
        pointer.release_id,
        pointer.place,
        record,
        by_id,
        do="`capctl rollback`" if has_way_back else "`capctl deploy`",
    )
    if pointer.previous_release_id:
        yield from _place(
            "previous",
            pointer.previous_release_id,
            pointer.previous_place,
            record,
            by_id,
            do="`capctl deploy` of a good release, before there is need to go back",
        )


def _place(
    code: str,
    release_id: str,
    place: Place | None,
    record: StackRecord,
    by_id: Mapping[str, DeployedRelease],
    *,
    do: str,
) -> Iterator[Difference]:
    def fault(kind: str, what: str, expected: str, found: str) -> Difference:
        return Difference(
            severity=Severity.FAULT,
            code=f"{code}-{kind}",
            what=what,
            expected=expected,
            found=found,
            next=do,
            release_id=release_id,
        )

    release = by_id.get(release_id)
    if release is None:
        found = "half made" if release_id in record.half_made else "missing"
        yield fault("release-missing", f"release {release_id} of the pointer", "in the stack", found)
        return
    for what, expected, found in (
        ("queue", release.job_queue_arn, place.job_queue_arn if place else ""),
        ("job definition", release.job_definition_arn, place.job_definition_arn if place else ""),
        ("AMI", release.ami_id, place.ami_id if place else ""),
    ):
        # Pointers of earlier versions say less.
        if found and found != expected:
            yield fault("place", f"{what} that the pointer has for release {release_id}", expected, found)


def _half_made(world: World, record: StackRecord) -> Iterator[Difference]:
    for release_id in sorted(record.half_made - needed_ids(world.pointer)):
        yield Difference(
            severity=Severity.NOTICE,
            code="release-half-made",
            what=f"release {release_id}",
            expected="whole, or not there",
            found="half made: a deploy is at work, or was killed",
            next="`capctl deploy`, which finishes it or clears it away",
            release_id=release_id,
        )


def _orphans(world: World, record: StackRecord) -> Iterator[Difference]:
    """What is the project's and of no release that the stack has, not even of a half-made one."""
    whole = record.deployed
    yield from _strays(world, "queue", world.queues, {one.job_queue_arn for one in whole}, record)
    yield from _strays(
        world, "compute environment", world.environments, {one.compute_environment_arn for one in whole}, record
    )
    yield from _strays(world, "job definition", world.definitions, {one.job_definition_arn for one in whole}, record)
    yield from _strays(world, "launch template", world.templates, {one.template_id for one in record.releases}, record)
    for host in world.hosts or ():
        if host.release_id not in record.ids:
            yield _orphan(
                "instance", host.id, f"of release {host.release_id}, which is not in the stack", host.release_id
            )


def _strays(
    world: World, kind: str, parts: Mapping[str, _Named] | None, owned: Set[str], record: StackRecord
) -> Iterator[Difference]:
    for key, part in (parts or {}).items():
        release_id = release_in(part.name, world.project)
        # A name that the stack knows is told where the release's own parts are: it may be another revision, or made anew.
        if key not in owned and release_id not in record.ids:
            name = key.rpartition("/")[2] if kind == "job definition" else part.name
            yield _orphan(kind, name, "of no release in the stack", release_id)


def _orphan(kind: str, name: str, found: str, release_id: str) -> Difference:
    return Difference(
        severity=Severity.FAULT,
        code="orphan",
        what=f"{kind} {name}",
        expected="not there",
        found=found,
        next=_DO[kind].format(name),
        release_id=release_id,
    )


def _newer(world: World, record: StackRecord) -> Iterator[Difference]:
    """What is no fault: AMIs that are waiting to be deployed, or to be given the name that releases take."""
    active = next((one for one in record.deployed if world.pointer and one.id == world.pointer.release_id), None)
    if active is None or not active.ami_id:
        return
    known = world.amis or {}
    if own := known.get(active.ami_id):
        later = [one.id for one in known.values() if one.is_proven and one.created > own.created]
        if later:
            newest = later[0]
            yield _notice("newer-ami", "newest verified AMI", active, newest, do=f"`capctl deploy --ami {newest}`")
    if world.stable and world.stable != active.ami_id:
        yield _notice(
            "channel-ami",
            f"AMI of channel {STABLE}",
            active,
            world.stable,
            do=f"`capctl ami promote {active.ami_id} --to {STABLE}`, or `capctl deploy --ami {STABLE}`",
        )


def _notice(code: str, what: str, active: DeployedRelease, found: AmiId, *, do: str) -> Difference:
    return Difference(
        severity=Severity.NOTICE,
        code=code,
        what=what,
        expected=active.ami_id,
        found=found,
        next=do,
        release_id=active.id,
    )
