"""Channels of one project: names that point to AMIs, with their history."""

from typing import Protocol

from lifecycle.domain.ami import AmiId
from lifecycle.domain.channel import Channel, ChannelEntry, Note


class Channels(Protocol):
    """Errors: `Denied`, `CapctlError("channel-moved")` when somebody else moves the channel at this very moment."""

    def parameter(self, channel: Channel) -> str:
        """The name of the SSM parameter that the channel is; asks nothing."""

    def read(self, channel: Channel) -> ChannelEntry | None:
        """What the channel names now; None when there is no such channel."""

    def list(self) -> tuple[ChannelEntry, ...]:
        """What each of the project's channels names now, by name."""

    def history(self, channel: Channel) -> tuple[ChannelEntry, ...]:
        """What the channel named, newest first; at least the last hundred versions, and none when there is no such channel."""

    def write(self, channel: Channel, ami_id: AmiId, note: Note, *, is_first: bool) -> int | None:
        """Let the channel name an AMI, whatever it names; returns the number of the new version. None when `is_first` and the channel
        exists: then nothing was written.

        There is no compare-and-set: who needs one compares the number. The version can be read a while later, and never if AWS finds
        no such AMI. Raises `CapctlError("channel-full")` when no version can be added.
        """
