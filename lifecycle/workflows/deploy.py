"""Create a release, prove it with a real job, move the pointer to it."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

from lifecycle.config.schema import ReleaseSection
from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.ami_status import AmiStatus
from lifecycle.domain.channel import STABLE
from lifecycle.domain.digest import parse_digest
from lifecycle.domain.image_report import ImageReport, image_rejection
from lifecycle.domain.job import Purpose
from lifecycle.domain.permissions import (
    FIND_IMAGES,
    READ_AMIS,
    READ_CHANNEL,
    READ_JOBS,
    READ_POINTER,
    READ_QUEUES,
    READ_STATE,
)
from lifecycle.domain.plan import Plan, Step
from lifecycle.domain.proof import Level
from lifecycle.domain.release import DeployedRelease, Parameters, Pointer, Release, promoted_ids
from lifecycle.domain.release_tag import release_tag
from lifecycle.domain.run import Run
from lifecycle.domain.runtime import mount_place, require_pair
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, UsageError
from lifecycle.ports import Ports
from lifecycle.ports.stack import Operation, ResourceChange
from lifecycle.workflows.ami_status import MarkSmokePassed
from lifecycle.workflows.lookups import ami_of, release_among
from lifecycle.workflows.move_pointer import MovePointer
from lifecycle.workflows.release_steps import CreateRelease, PruneReleases, RemoveRelease, WaitValid, needed_ids
from lifecycle.workflows.release_tags import TagImage
from lifecycle.workflows.smoke import Smoke
from lifecycle.workflows.smoke_video import StoreClip, has_smoke_video, smoke_video
from lifecycle.workflows.verify_image import verify_image

PERMISSIONS = {
    "deploy": (*READ_AMIS, *READ_CHANNEL, *FIND_IMAGES, *READ_JOBS, *READ_POINTER, *READ_QUEUES, *READ_STATE)
}

# Batch allows 50 compute environments in a region; two are left for a person in a hurry.
_ENVIRONMENT_LIMIT = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the command line named; None means the newest verified AMI that is not superseded, and the image of the working tree's code."""

    ami: str | None = None
    image: str | None = None


def plan_deploy(ports: Ports, target: Target, run: Run, wanted: Wanted) -> Plan:
    """The way of one release from nothing to the pointer, or no step when it is active already.

    Raises `CapctlError` when the AMI or the image cannot be deployed, the account is full, a release that the pointer needs is
    damaged, or anything that exists would change.
    """
    smoke_video(target)
    release = wanted_release(ports, target, wanted)
    pointer, existing = ports.pointers.read(), ports.stack.releases()
    exists = release.id in {deployed.id for deployed in existing}
    mark = MarkSmokePassed(ports=ports, target=target, ami_id=release.ami_id)
    if pointer and pointer.release_id == release.id and exists:
        # It is active because its smoke job passed; the run that saw that may have failed to say so.
        after = (mark,) if _lacks_mark(ports, target, release) else ()
        return Plan(title=f"deploy release {release.id}", because="it is active already", after=after)
    needed = needed_ids(pointer)
    _require_undamaged(ports, release, existing, pointer)
    if exists:
        is_ours = release.id not in promoted_ids(existing, pointer) and _only_smoked(ports, release, existing)
    else:
        is_ours = release.id not in needed
    steps: list[Step[Any]] = []
    if not has_smoke_video(ports, target):
        steps.append(StoreClip(ports=ports, target=target))
    if not exists:
        # Before the release is there, so that there is never one without.
        steps.append(TagImage(ports=ports, tag=release_tag(release.id, ports.clock.now()), image=release.image))
        _require_room(ports, target)
        protected = {deployed.id for deployed in existing} | needed
        _require_only_creates(ports.stack.preview_release(release, needed=needed), release, protected)
        steps.append(CreateRelease(ports=ports, release=release))
    return Plan(
        title=f"deploy release {release.id}",
        because=_because(release, pointer) + ("" if wanted.ami else _disagreeing(ports, release)),
        steps=(
            *steps,
            WaitValid(ports=ports, release_id=release.id),
            Smoke(ports=ports, target=target, run=run, release_id=release.id),
            MovePointer(
                ports=ports,
                run=run,
                release_id=release.id,
                seen=pointer,
                require_ami=partial(_deployable, ports, target.proof_level),
            ),
        ),
        after=(
            mark,
            PruneReleases(ports=ports, keep=target.settings.stack.keep_releases),
        ),
        undo=(RemoveRelease(ports=ports, release_id=release.id),) if is_ours else (),
    )


def _lacks_mark(ports: Ports, target: Target, release: Release) -> bool:
    ami = ports.amis.get(release.ami_id)
    return ami.status is AmiStatus.VERIFIED and ami.tags.get(Tag.PROJECT) == target.project


def wanted_release(ports: Ports, target: Target, wanted: Wanted) -> Release:
    """The release that the AMI, the image and the configuration make.

    Raises `CapctlError("runtime-unsuited")` where the image was built for another runtime than the AMI has.
    """
    settings = target.settings.release
    for name, given in (("subnet_ids", settings.subnet_ids), ("security_group_ids", settings.security_group_ids)):
        if not given:
            raise UsageError(
                "network-missing",
                f"`release.{name}` of target `{target.name}` is empty and Batch needs it",
                hint=f"Set `release.{name}` in capctl.yaml",
            )
    ami = _deployable_ami(ports, target, wanted.ami)
    image = _deployable_image(ports, target, wanted.image)
    if image.runtime:
        usable = (other for other in ports.amis.list(target.project) if other.is_deployable_by(target.proof_level))
        require_pair(image.ref, image.runtime, ami, usable)
    return Release(
        ami_id=ami.id,
        image=image.ref,
        model_set=parse_digest(ami.tags[Tag.MODEL_SET]),
        parameters=_parameters(settings),
        runtime_mount=mount_place(image.runtime, str(image.ref)),
    )


def _parameters(section: ReleaseSection) -> Parameters:
    return Parameters(
        instance_types=section.instance_types,
        max_vcpus=section.max_vcpus,
        spot=section.spot,
        subnet_ids=section.subnet_ids,
        security_group_ids=section.security_group_ids,
        volume_gib=section.volume_gib,
        vcpus=section.vcpus,
        memory_mib=section.memory_mib,
        gpus=section.gpus,
        timeout_s=section.timeout_s,
        attempts=section.attempts,
        environment=section.environment,
    )


def _deployable_ami(ports: Ports, target: Target, ami: str | None) -> AmiRecord:
    level = target.proof_level
    if ami is None:
        usable = [record for record in ports.amis.list(target.project) if record.is_deployable_by(level)]
        # That it was rolled back may be why: only who names it takes it again.
        found = next((record for record in usable if record.status is not AmiStatus.SUPERSEDED), None)
        if found is None:
            raise CapctlError(
                "ami-missing",
                f"Project `{target.project}` has no verified AMI in {target.region}{' that is not superseded' if usable else ''}",
                hint="Run `capctl ami bake --force`, or name one of `capctl ami ls --status superseded` with `--ami`"
                if usable
                else "Run `capctl ami bake`",
            )
        return found
    return _deployable(ports, level, ami_of(ports, ami))


def _deployable(ports: Ports, level: Level, ami_id: AmiId) -> AmiRecord:
    """The AMI. Raises `CapctlError("ami-missing" | "ami-not-verified")` unless a release may take it."""
    record = ports.amis.get(ami_id)
    if not record.is_deployable_by(level):
        raise CapctlError(
            "ami-not-verified",
            f"AMI `{record.id}` is {record.standing(level)}; a release needs a verified one",
            hint=record.way_to_proof(level),
        )
    return record


def _deployable_image(ports: Ports, target: Target, image: str | None) -> ImageReport:
    report = verify_image(ports, target, image)
    if failure := image_rejection(report):
        raise failure
    return report


def _require_room(ports: Ports, target: Target) -> None:
    count = ports.jobs.count_compute_environments()
    if count >= _ENVIRONMENT_LIMIT:
        raise CapctlError(
            "quota-reached",
            f"Account {target.account} has {count} compute environments in {target.region}, Batch allows 50",
            hint="Delete compute environments that nobody uses; capctl keeps `stack.keep_releases` of its own",
        )


def _require_undamaged(
    ports: Ports, release: Release, existing: tuple[DeployedRelease, ...], pointer: Pointer | None
) -> None:
    """Refuse to go on while a release that the pointer needs lacks a part, unless `release` is one of them: that is the way to mend it.

    The release before the active one may be gone altogether, then there is nothing of it to lose.
    """
    missing = needed_ids(pointer) - {deployed.id for deployed in existing}
    if not pointer or not missing or release.id in needed_ids(pointer):
        return
    left = ports.stack.half_made()
    if pointer.release_id in missing:
        damaged, role, way = (
            pointer.release_id,
            "takes jobs",
            "let another one take jobs with `capctl rollback --to …` (`capctl status` lists those that are whole)",
        )
    elif missing & left:
        damaged, role, way = (
            pointer.previous_release_id,
            "took jobs before",
            "remove with Pulumi what is left of it once it has no jobs",
        )
    else:
        return
    raise CapctlError(
        "release-damaged",
        f"Release `{damaged}` {role} and {'lacks a part' if damaged in left else 'is missing'} in Pulumi's state",
        hint=f"Deploy its AMI and image with the `release` section that it was made with, which finishes it, or {way}",
    )


def _require_only_creates(changes: tuple[ResourceChange, ...], release: Release, protected: Collection[str]) -> None:
    """Refuse a preview that touches a `protected` release; deleting what a killed run left half made of others is right.

    A part of `release` itself that never came to life may be updated, which is how the engine tries it again.
    """
    touched = [
        change
        for change in changes
        if change.operation not in {Operation.CREATE, Operation.SAME}
        and change.release_id in protected
        and not (change.release_id == release.id and change.operation is Operation.UPDATE)
    ]
    if touched:
        raise CapctlError(
            "release-would-change",
            f"Creating release `{release.id}` would {touched[0].operation} `{touched[0].name}`, and releases never change",
            hint="Nothing was changed; compare Pulumi's state with what AWS holds, the lines above name the resources",
            details=tuple(change.line for change in touched),
        )


def _only_smoked(ports: Ports, release: Release, existing: tuple[DeployedRelease, ...]) -> bool:
    """Whether nothing but smoke jobs ran on `release`: jobs can be given to its queue past the pointer, too."""
    jobs = ports.jobs.list(release_among(existing, release.id).job_queue_arn)
    return all(job.purpose is Purpose.SMOKE for job in jobs)


def _disagreeing(ports: Ports, release: Release) -> str:
    """That channel `stable` names another AMI than the one that is taken when nobody names one."""
    stable = ports.channels.read(STABLE)
    if stable is None or stable.ami_id == release.ami_id:
        return ""
    return f"; channel {STABLE} names {stable.ami_id}, which `--ami {STABLE}` takes"


def _because(release: Release, pointer: Pointer | None) -> str:
    active = f"release {pointer.release_id} is active" if pointer else "nothing is active"
    return f"{active}; wanted are AMI {release.ami_id} and image {release.image.digest}"
