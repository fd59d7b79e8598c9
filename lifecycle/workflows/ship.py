"""`release`: from the working tree to the pointer, each stage by the workflow that has a command of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.domain.ami_status import AmiStatus
from lifecycle.domain.channel import parse_channel
from lifecycle.domain.measures import counted, size_text
from lifecycle.domain.permissions import READ_POINTER
from lifecycle.domain.plan import Done, Plan
from lifecycle.domain.release import was_left
from lifecycle.domain.shipment import Outcome, Shipment, ShipmentPlan, StageName, StagePlan
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.workflows.bake import PlannedBake, baked, plan_locked_bake
from lifecycle.workflows.deploy import plan_deploy
from lifecycle.workflows.execute import execute
from lifecycle.workflows.lookups import ami_of, image_of
from lifecycle.workflows.move_pointer import MovePointer
from lifecycle.workflows.promote_ami import plan_promote
from lifecycle.workflows.push_image import PushCode, preview_push_image
from lifecycle.workflows.smoke import Smoke
from lifecycle.workflows.smoke_video import smoke_video
from lifecycle.workflows.wanted_release import Wanted, network_of

if TYPE_CHECKING:
    from lifecycle.config.target import Target
    from lifecycle.domain.ami import AmiId, AmiRecord
    from lifecycle.domain.channel import Channel
    from lifecycle.domain.image import ImageRef
    from lifecycle.domain.push_preview import PushPreview
    from lifecycle.domain.run import Run
    from lifecycle.ports import Ports
    from lifecycle.workflows.shipment_log import ShipmentLog

PERMISSIONS = {"release": READ_POINTER}
# Besides, all that these commands need: its stages are theirs.
STAGES = {"release": ("ami bake", "image push", "deploy", "ami promote")}


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedShipment:
    """What the command line named: an AMI, then none is baked; an image, then none is pushed; the channel that shall name the AMI, else
    it is the configuration's."""

    ami: str | None = None
    image: str | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedShipment:
    """The plans of the stages; None for what was named, or what an earlier stage decides. `ami` and `image` are those that are known."""

    channel: Channel | None
    bake: PlannedBake | None
    push: tuple[Plan, PushPreview] | None
    ami: AmiId | None
    image: ImageRef | None
    deploy: Plan | None
    promote: Plan | None
    shown: ShipmentPlan


def plan_shipment(ports: Ports, target: Target, run: Run, wanted: WantedShipment, log: ShipmentLog) -> PlannedShipment:
    """The plan of every stage that no earlier one decides.

    Raises `UsageError("channel-invalid")`, what the plans of `ami bake`, `image push` and `deploy` raise, and
    `CapctlError("ami-superseded" | "release-rolled-back")` for what somebody rolled back from.
    """
    asked = wanted.channel or target.settings.ami.promote_to
    channel = parse_channel(asked) if asked else None
    with log.stage(StageName.DEPLOY):  # which would find out after the bake
        network_of(ports, target)
        smoke_video(target)
        log.before = log.after = ports.pointers.read()
    with log.stage(StageName.BAKE):
        bake = None if wanted.ami else plan_locked_bake(ports, target, run)
        if bake and bake.wanted.existing:
            _require_not_superseded(bake.wanted.existing)
        ami = ami_of(ports, wanted.ami) if wanted.ami else _existing(bake)
    with log.stage(StageName.PUSH):
        push = None if wanted.image else preview_push_image(ports, target)
        image = image_of(ports, target, wanted.image) if wanted.image else push and push[1].known
    log.ami, log.image = ami, image
    deploy = promote = None
    if ami and image:
        with log.stage(StageName.DEPLOY):
            deploy = _plan_deploy(ports, target, run, ami, image)
        if channel and deploy.is_idle:
            with log.stage(StageName.PROMOTE):
                promote = plan_promote(ports, target, run, ami=ami, channel=channel)
    return PlannedShipment(
        channel=channel,
        bake=bake,
        push=push,
        ami=ami,
        image=image,
        deploy=deploy,
        promote=promote,
        shown=ShipmentPlan(
            title=f"release the code and the models of {target.project}",
            stages=(
                *([StagePlan(name=StageName.BAKE, plan=bake.plan)] if bake else []),
                *([StagePlan(name=StageName.PUSH, plan=push[0])] if push else []),
                StagePlan(name=StageName.DEPLOY, plan=deploy)
                if deploy
                else StagePlan(name=StageName.DEPLOY, plan=_foreseen_deploy(target, log), is_known=False),
                *([_shown_promotion(promote, channel, ami)] if channel else []),
            ),
        ),
    )


def ship(ports: Ports, target: Target, run: Run, planned: PlannedShipment, log: ShipmentLog) -> Shipment:
    """Carry the stages out, one after the other, until one fails; the shipment then tells its failure.

    Every stage goes on from what is there: after a kill the same command does what is left. A signal is a failure like others: who tells
    of the shipment raises it then.
    """
    try:
        with log.stage(StageName.BAKE):
            ami = _bake(ports, run, planned, log)
        with log.stage(StageName.PUSH):
            image = _push(ports, run, planned, log)
        with log.stage(StageName.DEPLOY):
            _deploy(ports, run, planned.deploy or _plan_deploy(ports, target, run, ami, image), log)
        with log.stage(StageName.PROMOTE):
            _promote(ports, target, run, planned, ami, log)
    except (Interrupted, CapctlError):
        _look_at_pointer(ports, log)
    return log.shipment


def _bake(ports: Ports, run: Run, planned: PlannedShipment, log: ShipmentLog) -> AmiId:
    if planned.bake is None:
        assert planned.ami, "it was named"
        log.end(StageName.BAKE, Outcome.LEFT_OUT, f"AMI {planned.ami} was named")
        return planned.ami
    done = execute(planned.bake.plan, ports, run)
    found = baked(ports, planned.bake)
    log.ami = found.ami.id
    _end(log, StageName.BAKE, done, f"AMI {found.ami.id}")
    return found.ami.id


def _push(ports: Ports, run: Run, planned: PlannedShipment, log: ShipmentLog) -> ImageRef:
    if planned.push is None:
        assert planned.image, "it was named"
        log.end(StageName.PUSH, Outcome.LEFT_OUT, f"image {planned.image.digest} was named")
        return planned.image
    plan, preview = planned.push
    log.source = preview.source
    pushed = execute(plan, ports, run).find(PushCode)
    image = pushed.ref if pushed else planned.image
    assert image, "without a push the registry has it"
    log.image = image
    log.end(
        StageName.PUSH,
        Outcome.CHANGED if pushed and not pushed.unchanged else Outcome.UNCHANGED,
        f"{preview.tag}, {counted(pushed.requests, 'request')}, {size_text(pushed.bytes_sent)}"
        if pushed
        else preview.tag,
    )
    return image


def _deploy(ports: Ports, run: Run, plan: Plan, log: ShipmentLog) -> None:
    log.release_id = next((step.release_id for step in plan.steps if isinstance(step, MovePointer)), "")
    done = execute(plan, ports, run)
    log.after = done.find(MovePointer) or log.before
    log.release_id = log.after.release_id if log.after else ""
    log.smoke = done.find(Smoke)
    _end(log, StageName.DEPLOY, done, f"release {log.release_id} is active")


def _promote(ports: Ports, target: Target, run: Run, planned: PlannedShipment, ami: AmiId, log: ShipmentLog) -> None:
    if planned.channel is None:
        log.end(StageName.PROMOTE, Outcome.LEFT_OUT, "no channel was named")
        return
    plan = planned.promote or plan_promote(ports, target, run, ami=ami, channel=planned.channel)
    _end(log, StageName.PROMOTE, execute(plan, ports, run), f"channel {planned.channel} names {ami}")


def _end(log: ShipmentLog, name: StageName, done: Done, told: str) -> None:
    log.warnings += tuple(failure.message for _, failure in done.failures)
    log.end(name, Outcome.CHANGED if done.results else Outcome.UNCHANGED, told)


def _look_at_pointer(ports: Ports, log: ShipmentLog) -> None:
    """For who reads of the failure: what takes jobs now."""
    try:
        log.after = ports.pointers.read()
    except Interrupted:
        raise
    except CapctlError as unreadable:
        log.warnings += (f"Which release takes jobs now cannot be read: {unreadable.message}",)


def _plan_deploy(ports: Ports, target: Target, run: Run, ami: AmiId, image: ImageRef) -> Plan:
    with ports.ui.step("read the AMI, the image and the releases"):
        plan = plan_deploy(ports, target, run, Wanted(ami=ami, image=str(image)))
    _require_not_rolled_back(plan, ami, image)
    return plan


def _existing(bake: PlannedBake | None) -> AmiId | None:
    """The AMI of a bake that has nothing to do."""
    return bake.wanted.existing.id if bake and bake.plan.is_idle and bake.wanted.existing else None


def _require_not_superseded(ami: AmiRecord) -> None:
    """That it was rolled back may be why another took its place: as in `deploy`, only who names it takes it again."""
    if ami.status is AmiStatus.SUPERSEDED:
        raise CapctlError(
            "ami-superseded",
            f"AMI `{ami.id}` holds the locked models, and is superseded: a channel named it before it named another AMI",
            hint=f"Lock other models, or name it with `--ami {ami.id}`; `capctl ami promote {ami.id} --to …` makes it the channel's again",
        )


def _require_not_rolled_back(plan: Plan, ami: AmiId, image: ImageRef) -> None:
    """Refuse what somebody rolled back from: a commit that changes no code must not undo that, and nobody looks at a pipeline that does.

    Such a release was deployed after the one that takes jobs now.
    """
    move = next((step for step in plan.steps if isinstance(step, MovePointer)), None)
    if move and move.seen and was_left(move.seen, move.release_id):
        raise CapctlError(
            "release-rolled-back",
            f"Release `{move.release_id}`, which this code and these models make, took jobs until it was rolled back to "
            f"`{move.seen.release_id}`",
            hint="Release other code or models; if it shall take jobs again, run "
            f"`capctl deploy --ami {ami} --image {image.digest}`",
        )


def _foreseen_deploy(target: Target, log: ShipmentLog) -> Plan:
    active = log.before.release_id if log.before else "none"
    return Plan(
        title="deploy a release of the AMI and the image",
        because=f"one of them is made first; {f'release {active} is active' if log.before else 'nothing is active'}",
        details=(
            "create the release, wait until its queue is VALID",
            f"smoke it with {smoke_video(target).url}",
            f"pointer: {active} -> the release",
            *((f"watch it for {target.settings.watch.duration_s} s",) if target.settings.watch.duration_s else ()),
            f"if it proves bad: remove it; the pointer stays at {active}",
        ),
    )


def _shown_promotion(plan: Plan | None, channel: Channel, ami: AmiId | None) -> StagePlan:
    if plan:
        return StagePlan(name=StageName.PROMOTE, plan=plan)
    foreseen = Plan(
        title=f"promote {ami or 'that AMI'} to {channel}",
        because="a channel takes it once its smoke job has passed",
        details=(f"channel {channel}: -> {ami or 'the AMI'}",),
    )
    return StagePlan(name=StageName.PROMOTE, plan=foreseen, is_known=False)
