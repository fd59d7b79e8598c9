"""Create a release, prove it with a real job, move the pointer to it, watch it."""

from functools import partial
from typing import Any

from lifecycle.config.target import Target
from lifecycle.domain.deployment import Deployment
from lifecycle.domain.job import QueueState
from lifecycle.domain.permissions import (
    READ_DEAD_LETTERS,
    READ_JOBS,
    READ_QUEUES,
    READ_STATE,
    TAKE_TURN,
    WRITE_DEPLOYMENTS,
)
from lifecycle.domain.plan import Plan, Step
from lifecycle.domain.release import (
    DeployedRelease,
    Move,
    Pointer,
    Release,
    needed_ids,
    promoted_ids,
    surplus_once_active,
)
from lifecycle.domain.release_tag import release_tag
from lifecycle.domain.run import Run
from lifecycle.ports import Ports
from lifecycle.workflows.ami_status import MarkSmokePassed
from lifecycle.workflows.deployment import DeploymentGuard
from lifecycle.workflows.lookups import deployed_release, release_among
from lifecycle.workflows.move_pointer import MovePointer
from lifecycle.workflows.release_checks import require_only_creates, require_room, require_undamaged
from lifecycle.workflows.release_steps import CreateRelease, OpenRelease, WaitValid
from lifecycle.workflows.release_tags import TagImage
from lifecycle.workflows.remove_releases import PruneReleases, RemoveRelease
from lifecycle.workflows.smoke import Smoke
from lifecycle.workflows.smoke_jobs import smoke_jobs
from lifecycle.workflows.smoke_video import StoreClip, has_smoke_video
from lifecycle.workflows.wanted_release import deployable_ami
from lifecycle.workflows.watch import Watch
from lifecycle.workflows.way_back import way_back

PERMISSIONS = {
    "deploy": (*READ_DEAD_LETTERS, *READ_JOBS, *READ_QUEUES, *READ_STATE, *TAKE_TURN, *WRITE_DEPLOYMENTS),
}


def plan_way_forth(
    ports: Ports,
    target: Target,
    run: Run,
    release: Release,
    pointer: Pointer | None,
    bad: Deployment | None,
    *,
    because: str,
) -> Plan:
    """The whole way, from what there is of the release; `bad` is the deployment whose release takes jobs though it proved bad, if one does.

    Raises `CapctlError` when the account is full, a release that the pointer needs is damaged, or anything that exists would change.
    """
    existing, needed = ports.stack.releases(), needed_ids(pointer)
    require_ami = partial(deployable_ami, ports, target.proof_level)
    exists = _stands(ports, release, existing)
    require_undamaged(ports, release, existing, pointer)
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
        require_room(ports, target, release)
        protected = {deployed.id for deployed in existing} | needed
        require_only_creates(ports.stack.preview_release(release, needed=needed), release, protected)
        steps.append(CreateRelease(ports=ports, release=release, require_ami=require_ami))
    guard = DeploymentGuard(ports, run, release, pointer)
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
        after=_after(ports, target, release, existing, pointer, unfit=bad.release_id if bad else ""),
        undo=(
            *way_back(ports, target, run, release, guard, promoted_by=run.id),
            *((RemoveRelease(ports=ports, release_id=release.id),) if is_ours else ()),
        ),
        guard=guard,
    )


def plan_rest(ports: Ports, target: Target, run: Run, release: Release, pointer: Pointer, last: Deployment) -> Plan:
    """What follows the promotion. The release stays where the watch takes the pointer back: whether it is new nobody knows any more."""
    # Where a person moved the pointer there, the letters that came before are nothing of this.
    letters = last.dead_letters if pointer.move is Move.DEPLOY else None
    guard = DeploymentGuard(ports, run, release, pointer, promoted_by=pointer.run_id, dead_letters=letters)
    return Plan(
        title=f"finish the deploy of release {release.id}",
        because=last.told,
        steps=_watch(ports, target, release),
        after=_after(ports, target, release, ports.stack.releases(), pointer),
        undo=way_back(ports, target, run, release, guard, promoted_by=pointer.run_id),
        guard=guard,
    )


def is_promoted(ports: Ports, release: Release, pointer: Pointer) -> bool:
    """Whether the pointer names the release, and all of it is there: then only the rest of the way is left."""
    return pointer.release_id == release.id and release.id in {deployed.id for deployed in ports.stack.releases()}


def _watch(ports: Ports, target: Target, release: Release) -> tuple[Step[Any], ...]:
    return (Watch(ports=ports, target=target, release_id=release.id),) if target.settings.watch.duration_s else ()


def _after(
    ports: Ports,
    target: Target,
    release: Release,
    existing: tuple[DeployedRelease, ...],
    pointer: Pointer | None,
    *,
    unfit: str = "",
) -> tuple[Step[Any], ...]:
    keep = target.settings.stack.keep_releases
    return (
        MarkSmokePassed(ports=ports, target=target, ami_id=release.ami_id),
        PruneReleases(
            ports=ports, keep=keep, foreseen=surplus_once_active(release.id, existing, pointer, keep=keep, unfit=unfit)
        ),
    )


def _stands(ports: Ports, release: Release, existing: tuple[DeployedRelease, ...]) -> bool:
    """Whether the release exists, also by Batch: a removal that got no answer leaves in Pulumi's state a queue that is gone."""
    deployed = next((one for one in existing if one.id == release.id), None)
    return deployed is not None and ports.jobs.queue_status(deployed.job_queue_arn).state is not QueueState.MISSING


def _only_smoked(ports: Ports, release: Release, existing: tuple[DeployedRelease, ...]) -> bool:
    """Whether nothing but smoke jobs ran on `release`: jobs can be given to its queue past the pointer, too."""
    deployed = release_among(existing, release.id)
    jobs = ports.jobs.count(deployed.job_queue_arn)
    return jobs.is_complete and jobs.total == len(smoke_jobs(ports, deployed.job_queue_arn, release.id))
