"""Let a wanted release take jobs: by the whole way, or by what an earlier deploy left of it."""

from dataclasses import replace

from lifecycle.config.target import Target
from lifecycle.domain.ami_status import AmiStatus
from lifecycle.domain.channel import STABLE
from lifecycle.domain.deployment import bad_and_active, was_left_since
from lifecycle.domain.job import QueueState
from lifecycle.domain.permissions import (
    FIND_IMAGES,
    READ_AMIS,
    READ_CHANNEL,
    READ_DEPLOYMENTS,
    READ_POINTER,
    READ_QUEUES,
    READ_STATE,
)
from lifecycle.domain.plan import Plan
from lifecycle.domain.release import Pointer, Release
from lifecycle.domain.run import Run
from lifecycle.domain.tags import Tag
from lifecycle.ports import Ports
from lifecycle.workflows.ami_status import MarkSmokePassed
from lifecycle.workflows.deployment import last_deployments
from lifecycle.workflows.intake import read_intake, require_open
from lifecycle.workflows.smoke_video import smoke_video
from lifecycle.workflows.undone import undone_by
from lifecycle.workflows.wanted_release import Wanted, wanted_release
from lifecycle.workflows.way_back import plan_way_back
from lifecycle.workflows.way_forth import is_promoted, plan_rest, plan_way_forth

PERMISSIONS = {
    "deploy": (*READ_AMIS, *READ_CHANNEL, *FIND_IMAGES, *READ_DEPLOYMENTS, *READ_POINTER, *READ_QUEUES, *READ_STATE),
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
        return plan_way_back(ports, target, run, release, pointer, bad)
    if bad:
        ports.ui.warn(
            f"{bad.told}, and it takes jobs until this deploy has come through: `capctl deploy --resume` takes it back now"
        )
    elif last and last.is_resumable and last.release_id != release.id and not was_left_since(last, pointer):
        ports.ui.note(f"{last.told}; `capctl deploy --resume` goes on with that one")
    if pointer and is_promoted(ports, release, pointer):
        if last and last.is_resumable and last.release_id == release.id:
            return plan_rest(ports, target, run, release, pointer, last)
        intake = read_intake(ports, pointer.job_queue_arn)
        if intake.state is QueueState.MISSING:  # the way to make it whole
            return plan_way_forth(ports, target, run, release, pointer, bad, because=_because(release, pointer))
        require_open(release.id, intake)
        # It is active because its smoke job passed; the run that saw that may have failed to say so.
        mark = MarkSmokePassed(ports=ports, target=target, ami_id=release.ami_id)
        after = (mark,) if _lacks_mark(ports, target, release) else ()
        return Plan(title=f"deploy release {release.id}", because="it is active already", after=after)
    because = _because(release, pointer) + ("" if wanted.ami else _disagreeing(ports, release))
    details = tuple(undone_by(ports, release, pointer, recent))
    for line in details:
        ports.ui.warn(line)
    return replace(plan_way_forth(ports, target, run, release, pointer, bad, because=because), details=details)


def _lacks_mark(ports: Ports, target: Target, release: Release) -> bool:
    ami = ports.amis.get(release.ami_id)
    return ami.status is AmiStatus.VERIFIED and ami.tags.get(Tag.PROJECT) == target.project


def _disagreeing(ports: Ports, release: Release) -> str:
    """That channel `stable` names another AMI than the one that is taken when nobody names one."""
    stable = ports.channels.read(STABLE)
    if stable is None or stable.ami_id == release.ami_id:
        return ""
    return f"; channel {STABLE} names {stable.ami_id}, which `--ami {STABLE}` takes"


def _because(release: Release, pointer: Pointer | None) -> str:
    active = f"release {pointer.release_id} is active" if pointer else "nothing is active"
    return f"{active}; wanted are AMI {release.ami_id} and image {release.image.digest}"
