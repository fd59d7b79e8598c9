"""Move a channel, and let the statuses of AMIs follow from what channels name."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiStatus, Tag
from lifecycle.domain.channel import CANDIDATE, Channel, ChannelEntry, Note, settled
from lifecycle.domain.permissions import READ_AMIS, READ_CHANNEL, READ_CHANNELS
from lifecycle.domain.run import Run
from lifecycle.domain.waiting import Wait
from lifecycle.errors import CapctlError, TimedOut
from lifecycle.ports import Ports
from lifecycle.ports.wait import wait_for
from lifecycle.workflows.ami_status import require_tags, set_status
from lifecycle.workflows.lookups import ami_named, project_amis

# SSM looks at the AMI before it publishes a version that names it.
_PUBLISHED = Wait(shortest_s=0.1, longest_s=5.0, share=0.2, timeout_s=120.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveChannel:
    """Let a channel name an AMI, and tell when somebody else moved it since the plan was made; `seen` is its entry of that moment."""

    ports: Ports
    run: Run
    channel: Channel
    ami_id: AmiId
    seen: ChannelEntry | None
    is_rollback: bool = False
    permissions: tuple[str, ...] = (*READ_AMIS, *READ_CHANNEL, "ssm:PutParameter")

    def describe(self) -> str:
        return f"channel {self.channel}: {self.seen.ami_id if self.seen else 'none'} -> {self.ami_id}"

    def apply(self) -> ChannelEntry:
        note = Note(by=self.run.user, reason=self.run.reason, is_rollback=self.is_rollback)
        expected = self.seen.version + 1 if self.seen else 1
        written = self.ports.channels.write(self.channel, self.ami_id, note, is_first=self.seen is None)
        version = written or expected
        history = self._published({version, *range(expected, version)})
        # A call whose answer was lost is repeated: versions that name this AMI may follow each other, and nobody is overwritten.
        others = [entry for entry in history if expected <= entry.version <= version and entry.ami_id != self.ami_id]
        if others or version < expected:
            did = _move_of(others[0]) if others else f"Somebody else deleted channel `{self.channel}`"
            raise self._moved(did, history[0], has_written=written is not None)
        return next(entry for entry in history if entry.version == version)

    def verify(self, _: ChannelEntry) -> None:
        found = self.ports.channels.read(self.channel)
        if found is None or found.ami_id != self.ami_id:
            did = _move_of(found) if found else f"Somebody else deleted channel `{self.channel}`"
            raise self._moved(did, found, has_written=True)

    def _published(self, versions: Collection[int]) -> tuple[ChannelEntry, ...]:
        """The history, once it holds those versions: the one that was written, and all between the one seen and that one."""

        def timed_out(history: tuple[ChannelEntry, ...]) -> CapctlError:
            if any(entry.version == max(versions) for entry in history):
                did = f"Somebody else wrote a version of channel `{self.channel}` that SSM has not published"
                return self._moved(did, history[0], has_written=True)
            return TimedOut(
                "channel-pending",
                f"SSM took AMI `{self.ami_id}` for channel `{self.channel}` and has not published it after {_PUBLISHED.timeout_s:g} s",
                hint="SSM publishes only an AMI that is `available` and that the caller may describe (`ec2:DescribeImages`); "
                f"look at `capctl ami show {self.ami_id}`, then run the same command again",
            )

        return wait_for(
            lambda: self.ports.channels.history(self.channel),
            lambda history: {entry.version for entry in history}.issuperset(versions),
            _PUBLISHED,
            self.ports.clock,
            timed_out=timed_out,
        )

    def _moved(self, did: str, now: ChannelEntry | None, *, has_written: bool) -> CapctlError:
        names = f"it names `{now.ami_id}` now, version {now.version}" if now else "it names nothing now"
        wrote = f"this run wrote `{self.ami_id}`" if has_written else "this run wrote nothing"
        return CapctlError(
            "channel-moved",
            f"{did} at the same time; {wrote}, and {names}",
            hint=f"Look at `capctl ami channels {self.channel}`, and promote the AMI that it shall name",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NameCandidate:
    """Let channel `candidate` name the AMI that a bake has proven, whatever it named before."""

    ports: Ports
    run: Run
    name: str
    permissions: tuple[str, ...] = (*READ_AMIS, *READ_CHANNEL, "ssm:PutParameter")

    def describe(self) -> str:
        return f"channel {CANDIDATE}: -> {self.name}"

    def apply(self) -> str:
        ami, seen = ami_named(self.ports.amis, self.name), self.ports.channels.read(CANDIDATE)
        if seen and seen.ami_id == ami.id:
            return f"{ami.id} already"
        move = MoveChannel(ports=self.ports, run=self.run, channel=CANDIDATE, ami_id=ami.id, seen=seen)
        entry = move.apply()
        move.verify(entry)
        return str(entry)

    def verify(self, _: str) -> None:
        """`apply` has read it back already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleStatuses:
    """Tag as promoted the AMIs that channels other than `candidate` name, and as superseded those that none names any more.

    `foreseen` is what the plan saw; what is done follows from the channels of the moment.
    """

    ports: Ports
    target: Target
    foreseen: Mapping[AmiId, AmiStatus]
    permissions: tuple[str, ...] = (*READ_AMIS, *READ_CHANNELS, "ec2:CreateTags")

    def describe(self) -> str:
        return f"tag {_listed(self.foreseen)}"

    def apply(self) -> str:
        amis = project_amis(self.ports.amis, self.target)
        changes = settled(amis.values(), promoting(self.ports.channels.list()))
        for ami_id, status in _ordered(changes):
            set_status(self.ports.amis, amis[ami_id], status)
            require_tags(self.ports.amis.get(ami_id), {Tag.STATUS.value: status.value})
        if changes == self.foreseen:
            return "tagged"
        return f"tagged {_listed(changes)}" if changes else "nothing to tag"

    def verify(self, _: str) -> None:
        """`apply` has read each tag back."""


def promoting(entries: tuple[ChannelEntry, ...]) -> frozenset[AmiId]:
    """The AMIs that are promoted by what channels name."""
    return frozenset(entry.ami_id for entry in entries if entry.channel != CANDIDATE)


def _ordered(changes: Mapping[AmiId, AmiStatus]) -> list[tuple[AmiId, AmiStatus]]:
    """The promoted first: whoever looks meanwhile finds one."""
    return sorted(changes.items(), key=lambda change: list(AmiStatus).index(change[1]))


def _listed(changes: Mapping[AmiId, AmiStatus]) -> str:
    return ", ".join(f"{ami_id} as {status}" for ami_id, status in _ordered(changes))


def _move_of(entry: ChannelEntry) -> str:
    return f"{entry.note.by or 'Somebody else'} moved channel `{entry.channel}` to `{entry.ami_id}`"
