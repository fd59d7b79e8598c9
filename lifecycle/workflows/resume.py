"""Go on with the last deployment, with the release that it was of, whatever the code and the configuration are by now."""

from dataclasses import replace

from lifecycle.config.target import Target
from lifecycle.domain.deployment import Deployment, bad_and_active, recorded_release, was_left_since, way_on
from lifecycle.domain.permissions import FIND_IMAGES, READ_AMIS, READ_DEPLOYMENTS, READ_POINTER, READ_STATE
from lifecycle.domain.plan import Plan
from lifecycle.domain.release import Pointer, Release
from lifecycle.domain.run import Run
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.workflows.deployment import last_deployments
from lifecycle.workflows.smoke_video import smoke_video
from lifecycle.workflows.wanted_release import require_deployable
from lifecycle.workflows.way_back import plan_way_back
from lifecycle.workflows.way_forth import is_promoted, plan_rest, plan_way_forth

PERMISSIONS = {"deploy": (*READ_AMIS, *FIND_IMAGES, *READ_DEPLOYMENTS, *READ_POINTER, *READ_STATE)}


def plan_resume(ports: Ports, target: Target, run: Run) -> Plan:
    """What is left of the last deployment, which was killed, or came to no verdict; of one that came to a bad one, the way back.

    Raises as `plan_deploy`, and `CapctlError("nothing-to-resume" | "deployment-foreign" | "release-rolled-back")`.
    """
    pointer, recent = ports.pointers.read(), last_deployments(ports)
    bad = bad_and_active(recent, pointer)
    last = _left_over(recent, pointer, bad)
    release = _release_of(last)
    run = replace(run, reason=run.reason or last.reason)
    if last.is_half_cleaned:
        return plan_way_back(ports, target, run, release, pointer, last)
    smoke_video(target)
    if was_left_since(last, pointer):
        raise CapctlError(
            "release-rolled-back",
            f"Release `{release.id}` of deployment {last.number} took jobs until it was rolled back from",
            hint="If it shall take jobs again, deploy it by name: "
            f"`capctl deploy --ami {release.ami_id} --image {release.image.digest}`",
        )
    require_deployable(ports, target, release)
    if pointer and is_promoted(ports, release, pointer):
        return plan_rest(ports, target, run, release, pointer, last)
    return plan_way_forth(ports, target, run, release, pointer, bad, because=last.told)


def _left_over(recent: tuple[Deployment, ...], pointer: Pointer | None, bad: Deployment | None) -> Deployment:
    """The newest deployment, where it did not come to its end, else `bad`, whose release proved bad and takes jobs all the same."""
    newest = next(iter(recent), None)
    last = newest if newest and newest.is_resumable else bad or newest
    if last is None or not (last.is_resumable or last.is_half_cleaned):
        ended = ": ".join(filter(None, (last.told, last.why))) if last else "there was none"
        raise CapctlError(
            "nothing-to-resume",
            f"No deployment can be resumed: {ended}",
            hint=(way_on(last, pointer) if last else "") or "Run `capctl deploy`",
        )
    return last


def _release_of(deployment: Deployment) -> Release:
    """The release exactly as it was; raises `CapctlError("deployment-foreign")` where another version of capctl recorded it."""
    release = recorded_release(deployment.record)
    if release is None or release.id != deployment.release_id:
        raise CapctlError(
            "deployment-foreign",
            f"Another version of capctl recorded deployment {deployment.number} of release `{deployment.release_id}`",
            hint="Resume it with that version, or name its AMI and image: `capctl deploy --ami … --image …`",
        )
    return release
