"""`ami channels`: what channels name, and named before."""

from collections.abc import Iterable
from dataclasses import dataclass

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiRecord
from lifecycle.domain.channel import Channel, ChannelEntry
from lifecycle.domain.permissions import READ_AMIS, READ_CHANNELS
from lifecycle.ports import Ports
from lifecycle.workflows.lookups import channel_entry, channel_missing, project_amis

PERMISSIONS = {"ami channels": (*READ_AMIS, *READ_CHANNELS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelState:
    """An entry of a channel, and the AMI as it is now; None when the project has no such AMI any more."""

    entry: ChannelEntry
    ami: AmiRecord | None


def list_channels(ports: Ports, target: Target) -> tuple[ChannelState, ...]:
    """The channels of the target's project, by name."""
    return _with_amis(ports, target, ports.channels.list())


def channel_history(ports: Ports, target: Target, channel: Channel) -> tuple[ChannelState, ...]:
    """What the channel named, newest first. Raises `CapctlError("channel-missing")`."""
    if not (entries := ports.channels.history(channel)):
        raise channel_missing(channel)
    return _with_amis(ports, target, entries)


def channel_state(ports: Ports, target: Target, channel: Channel) -> ChannelState:
    """What the channel names now. Raises `CapctlError("channel-missing")`."""
    return _with_amis(ports, target, [channel_entry(ports, channel)])[0]


def _with_amis(ports: Ports, target: Target, entries: Iterable[ChannelEntry]) -> tuple[ChannelState, ...]:
    amis = project_amis(ports.amis, target)
    return tuple(ChannelState(entry=entry, ami=amis.get(entry.ami_id)) for entry in entries)
