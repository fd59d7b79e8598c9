"""`ports.Channels` in memory."""

from dataclasses import dataclass

from lifecycle.domain.ami import AmiId
from lifecycle.domain.channel import Channel, ChannelEntry, Note


@dataclass(slots=True)
class _Pending:
    entry: ChannelEntry
    looks: int


class FakeChannels:
    """Channels by name. A version is seen after `lag` looks; one that names an AMI of `unseen` never is."""

    def __init__(self) -> None:
        self.lag = 0
        self.unseen: set[AmiId] = set()
        self._published: dict[Channel, list[ChannelEntry]] = {}
        self._pending: list[_Pending] = []
        self._numbers: dict[Channel, int] = {}

    def parameter(self, channel: Channel) -> str:
        return f"/capctl/vision/ami/{channel}"

    def read(self, channel: Channel) -> ChannelEntry | None:
        return next(iter(self.history(channel)), None)

    def list(self) -> tuple[ChannelEntry, ...]:
        found = (self.read(channel) for channel in sorted(self._numbers))
        return tuple(entry for entry in found if entry)

    def history(self, channel: Channel) -> tuple[ChannelEntry, ...]:
        for pending in [pending for pending in self._pending if pending.entry.channel == channel]:
            pending.looks -= 1
            if pending.looks < 0 and pending.entry.ami_id not in self.unseen:
                self._pending.remove(pending)
                self._published.setdefault(channel, []).append(pending.entry)
        return tuple(sorted(self._published.get(channel, ()), key=lambda entry: entry.version, reverse=True))

    def write(self, channel: Channel, ami_id: AmiId, note: Note, *, is_first: bool) -> int | None:
        if is_first and self._published.get(channel):
            return None
        self._numbers[channel] = version = self._numbers.get(channel, 0) + 1
        since = f"2026-01-01T00:{version:02d}:00+00:00"
        entry = ChannelEntry(channel=channel, version=version, ami_id=ami_id, since=since, note=note)
        self._pending.append(_Pending(entry, self.lag))
        return version

    def delete(self, channel: Channel) -> None:
        """What somebody else may do."""
        self._published.pop(channel, None)
        self._numbers.pop(channel, None)
