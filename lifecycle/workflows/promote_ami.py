"""`ami promote`: let a channel name an AMI that has come far enough, or the one that it named before."""

from collections.abc import Mapping
from typing import Any

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.ami_status import AmiStatus
from lifecycle.domain.channel import (
    CANDIDATE,
    Channel,
    ChannelEntry,
    entry_before,
    promotion_order,
    require_taken,
    settled,
    takes,
)
from lifecycle.domain.permissions import READ_AMIS, READ_CHANNELS
from lifecycle.domain.plan import Plan, Step
from lifecycle.domain.run import Run
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.workflows.lookups import ami_of, channel_missing, own_ami, project_amis
from lifecycle.workflows.move_channel import MoveChannel, SettleStatuses, promoting

PERMISSIONS = {"ami promote": (*READ_AMIS, *READ_CHANNELS)}


def plan_promote(ports: Ports, target: Target, run: Run, *, ami: str, channel: Channel) -> Plan:
    """Let the channel name an AMI (an id, or what another channel names), and tag what follows from it.

    Raises `CapctlError("ami-missing" | "ami-foreign" | "ami-not-verified" | "ami-not-smoked" | "ami-status-unknown" | "channel-missing")`.
    """
    amis = project_amis(ports.amis, target)
    record = own_ami(ports.amis, target, ami_of(ports, ami))
    require_taken(channel, record, target.proof_level)
    seen = ports.channels.read(channel)
    steps: tuple[Step[Any], ...] = ()
    changes = _foreseen(ports, amis, channel, record.id)
    if seen is None or seen.ami_id != record.id:
        steps = _moving(ports, target, run, channel, record.id, seen, changes)
    elif changes:
        steps = (_settling(ports, target, seen, changes),)
    names = f"names AMI {seen.ami_id}" if seen else "does not exist yet"
    return Plan(
        title=f"promote {record.id} to {channel}",
        because=f"the AMI is {record.status}, and channel {channel} {names}",
        steps=steps,
    )


def plan_channel_rollback(ports: Ports, target: Target, run: Run, *, channel: Channel) -> Plan:
    """Let the channel name again what it named before: the newest of its history that differs, exists and has come far enough.

    Raises `CapctlError("channel-missing" | "previous-missing")`, and `CapctlError("rollback-unclear")` when that AMI was promoted later
    than the present one: going there would undo a rollback.
    """
    history = ports.channels.history(channel)
    if not history:
        raise channel_missing(channel)
    amis, present = project_amis(ports.amis, target), history[0]
    left = _foreseen(ports, amis, channel, present.ami_id)
    # Of a rollback that was killed; going further back would be another one.
    if present.note.is_rollback and not left.keys().isdisjoint({present.ami_id, history[1].ami_id}):
        return Plan(
            title=f"finish the rollback to {present.ami_id} on channel {channel}",
            because="the channel was moved back already, and statuses of AMIs do not say so yet",
            steps=(_settling(ports, target, present, left),),
        )
    before = entry_before(history, usable=lambda ami_id: ami_id in amis and takes(channel, amis[ami_id]))
    if before is None:
        raise CapctlError(
            "previous-missing",
            f"Channel `{channel}` named no other AMI than `{present.ami_id}` that it could name again",
            hint=f"Name one with `capctl ami promote AMI --to {channel}`; `capctl ami channels {channel}` shows what it named",
        )
    _require_earlier(before, promotion_order(history), present)
    changes = _foreseen(ports, amis, channel, before.ami_id)
    return Plan(
        title=f"roll back to {before.ami_id} on channel {channel}",
        because=f"the channel named it before {present.ami_id}",
        steps=_moving(ports, target, run, channel, before.ami_id, present, changes, is_rollback=True),
    )


def _foreseen(ports: Ports, amis: Mapping[AmiId, AmiRecord], channel: Channel, ami_id: AmiId) -> dict[AmiId, AmiStatus]:
    """The statuses that change once `channel` names the AMI."""
    if channel == CANDIDATE:
        return {}
    others = tuple(entry for entry in ports.channels.list() if entry.channel != channel)
    return settled(amis.values(), promoting(others) | {ami_id})


def _moving(
    ports: Ports,
    target: Target,
    run: Run,
    channel: Channel,
    ami_id: AmiId,
    seen: ChannelEntry | None,
    foreseen: Mapping[AmiId, AmiStatus],
    *,
    is_rollback: bool = False,
) -> tuple[Step[Any], ...]:
    move = MoveChannel(
        ports=ports, target=target, run=run, channel=channel, ami_id=ami_id, seen=seen, is_rollback=is_rollback
    )
    settling = SettleStatuses(
        ports=ports, target=target, channel=channel, version=seen.version + 1 if seen else 1, foreseen=foreseen
    )
    return (move, settling) if foreseen else (move,)


def _settling(ports: Ports, target: Target, seen: ChannelEntry, foreseen: Mapping[AmiId, AmiStatus]) -> SettleStatuses:
    """For a channel that names the right AMI already."""
    return SettleStatuses(ports=ports, target=target, channel=seen.channel, version=seen.version, foreseen=foreseen)


def _require_earlier(before: ChannelEntry, order: tuple[AmiId, ...], present: ChannelEntry) -> None:
    if order.index(before.ami_id) > order.index(present.ami_id):
        raise CapctlError(
            "rollback-unclear",
            f"Channel `{before.channel}` was moved back already: AMI `{before.ami_id}`, which it named before, was promoted after the "
            f"present `{present.ami_id}`",
            hint=f"Name the AMI: `capctl ami promote {before.ami_id} --to {before.channel}` goes forward again; "
            f"`capctl ami channels {before.channel}` shows the others",
        )
