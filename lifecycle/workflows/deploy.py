"""Create a release, prove it with a real job, move the pointer to it, watch it."""

from collections.abc import Collection
from dataclasses import replace
from functools import partial
from typing import Any

from lifecycle.config.target import Target
from lifecycle.domain.ami_status import AmiStatus
from lifecycle.domain.channel import STABLE
from lifecycle.domain.compute import name_of
from lifecycle.domain.deployment import Deployment, Outcome, Stage, bad_and_active
from lifecycle.domain.job import QueueState
from lifecycle.domain.permissions import (
    FIND_IMAGES,
    READ_AMIS,
    READ_CHANNEL,
    READ_DEAD_LETTERS,
    READ_DEPLOYMENTS,
    READ_JOBS,
    READ_POINTER,
    READ_QUEUES,
    READ_STATE,
    TAKE_TURN,
    WRITE_DEPLOYMENTS,
)
from lifecycle.domain.plan import Plan, Step
from lifecycle.domain.release import DeployedRelease, Move, Pointer, Release, needed_ids, promoted_ids, was_left
from lifecycle.domain.release_tag import release_tag
from lifecycle.domain.run import Run
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.ports.stack import Operation, ResourceChange
from lifecycle.workflows.ami_status import MarkSmokePassed
from lifecycle.workflows.deployment import DeploymentGuard
from lifecycle.workflows.intake import read_intake, require_open
from lifecycle.workflows.lookups import deployed_release, release_among
from lifecycle.workflows.move_jobs import RestoreJobs
from lifecycle.workflows.move_pointer import MovePointer
from lifecycle.workflows.release_steps import CreateRelease, OpenRelease, WaitValid
from lifecycle.workflows.release_tags import TagImage
from lifecycle.workflows.remove_releases import PruneReleases, RemoveRelease
from lifecycle.workflows.restore_pointer import RestorePointer
from lifecycle.workflows.smoke import Smoke
from lifecycle.workflows.smoke_jobs import smoke_jobs
from lifecycle.workflows.smoke_video import StoreClip, has_smoke_video, smoke_video
from lifecycle.workflows.undone import undone_by
from lifecycle.workflows.wanted_release import (
    Wanted,
    deployable_ami,
    last_deployments,
    require_deployable,
    resumed_release,
    wanted_release,
)
from lifecycle.workflows.watch import Watch

PERMISSIONS = {
    "deploy": (
        *READ_AMIS,
        *READ_CHANNEL,
        *FIND_IMAGES,
        *READ_DEAD_LETTERS,
        *READ_DEPLOYMENTS,
        *READ_JOBS,
        *READ_POINTER,
        *READ_QUEUES,
        *READ_STATE,
        *TAKE_TURN,
        *WRITE_DEPLOYMENTS,
    )
}

# Batch allows 50 compute environments in a region; two are left for a person in a hurry.
_ENVIRONMENT_LIMIT = 48

_STAGES: dict[type[Step[Any]], Stage] = {
    StoreClip: Stage.UP,
    TagImage: Stage.UP,
    CreateRelease: Stage.UP,
    OpenRelease: Stage.UP,
    WaitValid: Stage.WAIT_VALID,
    Smoke: Stage.SMOKE,
    MovePointer: Stage.PROMOTE,
    Watch: Stage.WATCH,
    PruneReleases: Stage.DRAIN,
    RestorePointer: Stage.CLEAN,
    RestoreJobs: Stage.CLEAN,
    RemoveRelease: Stage.CLEAN,
}


def plan_deploy(ports: Ports, target: Target, run: Run, wanted: Wanted) -> Plan:
    """The way of one release from nothing to the pointer, or no step when it is active already.

    Raises `CapctlError` when the AMI or the image cannot be deployed, the account is full, a release that the pointer needs is
    damaged, or anything that exists would change, and `CapctlError("release-closed")` when it is active and takes no jobs.
    """
    smoke_video(target)
    release = wanted_release(ports, target, wanted)
    recent, pointer = last_deployments(ports), ports.pointers.read()
    last, bad = next(iter(recent), None), bad_and_active(recent, pointer)
    if bad and bad.release_id == release.id:
        return _plan_clean(ports, target, run, release, pointer, bad)
    if bad:
        ports.ui.warn(
            f"{bad.told}, and it takes jobs until this deploy has come through: `capctl deploy --resume` takes it back now"
        )
    elif last and last.is_resumable and last.release_id != release.id and not was_left(pointer, last.release_id):
        ports.ui.note(f"{last.told}; `capctl deploy --resume` goes on with that one")
    if pointer and pointer.release_id == release.id and _exists(ports, release):
        if last and last.is_resumable and last.release_id == release.id:
            return _plan_rest(ports, target, run, release, pointer, last)
        intake = read_intake(ports, pointer.job_queue_arn)
        if intake.state is QueueState.MISSING:  # the way to make it whole
            return _plan(ports, target, run, release, pointer, bad, because=_because(release, pointer))
        require_open(release.id, intake)
        # It is active because its smoke job passed; the run that saw that may have failed to say so.
        mark = MarkSmokePassed(ports=ports, target=target, ami_id=release.ami_id)
        after = (mark,) if _lacks_mark(ports, target, release) else ()
        return Plan(title=f"deploy release {release.id}", because="it is active already", after=after)
    because = _because(release, pointer) + ("" if wanted.ami else _disagreeing(ports, release))
    details = tuple(undone_by(ports, release.id, pointer, last))
    for line in details:
        ports.ui.warn(line)
    return replace(_plan(ports, target, run, release, pointer, bad, because=because), details=details)


def plan_resume(ports: Ports, target: Target, run: Run) -> Plan:
    """What is left of the last deployment, which was killed, or came to no verdict; of one that came to a bad one, the way back.

    Raises as `plan_deploy`, and `CapctlError("nothing-to-resume" | "deployment-foreign" | "release-rolled-back")`.
    """
    pointer = ports.pointers.read()
    last, release = resumed_release(ports, pointer)
    run = replace(run, reason=run.reason or last.reason)
    if last.is_half_cleaned:
        return _plan_clean(ports, target, run, release, pointer, last)
    smoke_video(target)
    if was_left(pointer, release.id):
        raise CapctlError(
            "release-rolled-back",
            f"Release `{release.id}` of deployment {last.number} took jobs until it was rolled back from",
            hint="If it shall take jobs again, deploy it by name: "
            f"`capctl deploy --ami {release.ami_id} --image {release.image.digest}`",
        )
    require_deployable(ports, target, release)
    if pointer and pointer.release_id == release.id and _exists(ports, release):
        return _plan_rest(ports, target, run, release, pointer, last)
    bad = bad_and_active(last_deployments(ports), pointer)
    return _plan(ports, target, run, release, pointer, bad, because=last.told)


def _plan(
    ports: Ports,
    target: Target,
    run: Run,
    release: Release,
    pointer: Pointer | None,
    bad: Deployment | None,
    *,
    because: str,
) -> Plan:
    existing, needed = ports.stack.releases(), needed_ids(pointer)
    require_ami = partial(deployable_ami, ports, target.proof_level)
    exists = _stands(ports, release, existing)
    _require_undamaged(ports, release, existing, pointer)
    steps: list[Step[Any]] = []
    if not has_smoke_video(ports, target):
        steps.append(StoreClip(ports=ports, target=target))
    if exists:
        is_ours = release.id not in promoted_ids(existing, pointer) and _only_smoked(ports, release, existing)
        steps.append(OpenRelease(ports=ports, release_id=release.id))
    else:
        is_ours = release.id not in needed
        # Before the release is there, so that there is never one without.
        steps.append(TagImage(ports=ports, tag=release_tag(release.id, ports.clock.now()), image=release.image))
        _require_room(ports, target, release)
        protected = {deployed.id for deployed in existing} | needed
        _require_only_creates(ports.stack.preview_release(release, needed=needed), release, protected)
        steps.append(CreateRelease(ports=ports, release=release, require_ami=require_ami))
    guard = _guard(ports, run, release, pointer)
    return Plan(
        title=f"deploy release {release.id}",
        because=because,
        steps=(
            *steps,
            WaitValid(ports=ports, release_id=release.id),
            Smoke(ports=ports, target=target, run=run, release_id=release.id),
            MovePointer(
                ports=ports,
                run=run,
                release_id=release.id,
                seen=pointer,
                find=lambda: deployed_release(ports, release.id).place,
                require_ami=require_ami,
                unfit=bad.release_id if bad else "",
            ),
            *_watch(ports, target, release),
        ),
        after=_after(ports, target, release),
        undo=(
            *_way_back(ports, run, release, guard, promoted_by=run.id),
            *((RemoveRelease(ports=ports, release_id=release.id),) if is_ours else ()),
        ),
        guard=guard,
    )


def _plan_rest(ports: Ports, target: Target, run: Run, release: Release, pointer: Pointer, last: Deployment) -> Plan:
    """What follows the promotion. The release stays where the watch takes the pointer back: whether it is new nobody knows any more."""
    # Where a person moved the pointer there, the letters that came before are nothing of this.
    letters = last.dead_letters if pointer.move is Move.DEPLOY else None
    guard = _guard(ports, run, release, pointer, promoted_by=pointer.run_id, dead_letters=letters)
    return Plan(
        title=f"finish the deploy of release {release.id}",
        because=last.told,
        steps=_watch(ports, target, release),
        after=_after(ports, target, release),
        undo=_way_back(ports, run, release, guard, promoted_by=pointer.run_id),
        guard=guard,
    )


def _plan_clean(
    ports: Ports, target: Target, run: Run, release: Release, pointer: Pointer | None, last: Deployment
) -> Plan:
    """The way back from a release that proved bad, which a kill or trouble cut off. What is left of it a prune removes."""
    guard = _guard(ports, run, release, pointer, ends_as=Outcome.ROLLED_BACK, promoted_by=last.promoter)
    return Plan(
        title=f"take back release {release.id}",
        because=last.told,
        steps=_way_back(ports, run, release, guard, promoted_by=last.promoter),
        after=(PruneReleases(ports=ports, keep=target.settings.stack.keep_releases),),
        guard=guard,
    )


def _way_back(
    ports: Ports, run: Run, release: Release, guard: DeploymentGuard, *, promoted_by: str
) -> tuple[Step[Any], ...]:
    """The pointer first: then no more jobs come while those that wait are moved."""
    return (
        RestorePointer(ports=ports, run=run, release_id=release.id, promoted_by=promoted_by),
        RestoreJobs(ports=ports, release_id=release.id, guard=guard),
    )


def _watch(ports: Ports, target: Target, release: Release) -> tuple[Step[Any], ...]:
    return (Watch(ports=ports, target=target, release_id=release.id),) if target.settings.watch.duration_s else ()


def _after(ports: Ports, target: Target, release: Release) -> tuple[Step[Any], ...]:
    return (
        MarkSmokePassed(ports=ports, target=target, ami_id=release.ami_id),
        PruneReleases(ports=ports, keep=target.settings.stack.keep_releases),
    )


def _guard(
    ports: Ports,
    run: Run,
    release: Release,
    pointer: Pointer | None,
    *,
    ends_as: Outcome = Outcome.PROMOTED,
    promoted_by: str = "",
    dead_letters: int | None = None,
) -> DeploymentGuard:
    return DeploymentGuard(
        ports,
        run,
        release,
        replaces=pointer.release_id if pointer else "",
        stages=_STAGES,
        ends_as=ends_as,
        promoted_by=promoted_by,
        dead_letters=dead_letters,
    )


def _stands(ports: Ports, release: Release, existing: tuple[DeployedRelease, ...]) -> bool:
    """Whether the release exists, also by Batch: a removal that got no answer leaves in Pulumi's state a queue that is gone."""
    deployed = next((one for one in existing if one.id == release.id), None)
    return deployed is not None and ports.jobs.queue_status(deployed.job_queue_arn).state is not QueueState.MISSING


def _exists(ports: Ports, release: Release) -> bool:
    return release.id in {deployed.id for deployed in ports.stack.releases()}


def _lacks_mark(ports: Ports, target: Target, release: Release) -> bool:
    ami = ports.amis.get(release.ami_id)
    return ami.status is AmiStatus.VERIFIED and ami.tags.get(Tag.PROJECT) == target.project


def _require_room(ports: Ports, target: Target, release: Release) -> None:
    """Refuse to make one more compute environment than there may be; one that an earlier run made is no more."""
    existing = ports.jobs.compute_environments()
    if name_of(release.id, target.project) not in existing and len(existing) >= _ENVIRONMENT_LIMIT:
        raise CapctlError(
            "quota-reached",
            f"Account {target.account} has {len(existing)} compute environments in {target.region}, Batch allows 50",
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
    deployed = release_among(existing, release.id)
    jobs = ports.jobs.count(deployed.job_queue_arn)
    return jobs.is_complete and jobs.total == len(smoke_jobs(ports, deployed.job_queue_arn, release.id))


def _disagreeing(ports: Ports, release: Release) -> str:
    """That channel `stable` names another AMI than the one that is taken when nobody names one."""
    stable = ports.channels.read(STABLE)
    if stable is None or stable.ami_id == release.ami_id:
        return ""
    return f"; channel {STABLE} names {stable.ami_id}, which `--ami {STABLE}` takes"


def _because(release: Release, pointer: Pointer | None) -> str:
    active = f"release {pointer.release_id} is active" if pointer else "nothing is active"
    return f"{active}; wanted are AMI {release.ami_id} and image {release.image.digest}"
