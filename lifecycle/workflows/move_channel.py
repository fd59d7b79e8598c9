"""Move a channel, and let the statuses of AMIs follow from what channels name."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.ami_status import AmiStatus
from lifecycle.domain.channel import CANDIDATE, Channel, ChannelEntry, Note, require_taken, settled
from lifecycle.domain.permissions import READ_AMIS, READ_CHANNEL, READ_CHANNELS
from lifecycle.domain.proof import Level
from lifecycle.domain.run import Run
from lifecycle.domain.tags import Tag
from lifecycle.domain.waiting import READ_BACK, Wait
from lifecycle.errors import CapctlError, Interrupted, TimedOut
from lifecycle.ports import Ports
from lifecycle.ports.wait import until_it_passes, wait_for
from lifecycle.workflows.ami_status import require_tags, set_status
from lifecycle.workflows.lookups import ami_named, project_amis

# SSM looks at the AMI before it publishes a version that names it.
_PUBLISHED = Wait(shortest_s=0.05, longest_s=5.0, share=0.2, timeout_s=120.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveChannel:
    """Let a channel name an AMI, unless somebody moved it since the plan was made; `seen` is its entry of that moment.

    SSM cannot compare and set: what somebody writes between the look and the write shows in the history afterwards. Then this run lets
    the statuses of AMIs follow what the channels name, whoever wrote last, and tells.
    """

    ports: Ports
    target: Target
    run: Run
    channel: Channel
    ami_id: AmiId
    seen: ChannelEntry | None
    is_rollback: bool = False
    permissions: tuple[str, ...] = (*READ_AMIS, *READ_CHANNELS, "ec2:CreateTags", "ssm:PutParameter")

    def describe(self) -> str:
        return f"channel {self.channel}: {self.seen.ami_id if self.seen else 'none'} -> {self.ami_id}"

    def apply(self) -> ChannelEntry:
        now, expected = self.ports.channels.read(self.channel), _version(self.seen) + 1
        if _version(now) + 1 != expected:
            if now and now.ami_id == self.ami_id:
                return now
            raise self._moved(_move_of(self.channel, now), now, has_written=False)
        # The way back at night asks for no boot.
        level = Level.PAYLOAD if self.is_rollback else self.target.proof_level
        _taken(self.ports, self.channel, level, lambda: self.ports.amis.get(self.ami_id))
        note = Note(by=self.run.user, reason=self.run.reason, is_rollback=self.is_rollback)
        written = self.ports.channels.write(self.channel, self.ami_id, note, is_first=self.seen is None)
        version = written or expected
        history = self._published({version, *range(expected, version)})
        # A call whose answer was lost is repeated: versions that name this AMI may follow each other, and nobody is overwritten.
        others = [entry for entry in history if entry.version >= expected and entry.ami_id != self.ami_id]
        if others or version < expected:
            did = _move_of(self.channel, others[-1] if others else None)
            raise self._moved(did, history[0], has_written=written is not None)
        return next(entry for entry in history if entry.version == version)

    def verify(self, result: ChannelEntry) -> None:
        found = self.ports.channels.read(self.channel)
        if found is None or found.ami_id != self.ami_id:
            is_early = _version(found) < result.version
            raise self._moved(_move_of(self.channel, found), found, has_written=True, may_pass=is_early)

    def _published(self, versions: Collection[int]) -> tuple[ChannelEntry, ...]:
        """The history, once it holds those versions: the one that was written, and all between the one seen and that one."""

        def timed_out(history: tuple[ChannelEntry, ...]) -> CapctlError:
            if any(entry.version == max(versions) for entry in history):
                did = f"Somebody else wrote a version of channel `{self.channel}` that SSM has not published"
                return self._moved(did, history[0], has_written=True)
            return _pending(self.channel, self.ami_id)

        return wait_for(
            lambda: self.ports.channels.history(self.channel),
            lambda history: {entry.version for entry in history}.issuperset(versions),
            _PUBLISHED,
            self.ports.clock,
            timed_out=timed_out,
        )

    def _moved(self, did: str, now: ChannelEntry | None, *, has_written: bool, may_pass: bool = False) -> CapctlError:
        names = f"it names `{now.ami_id}` now, version {now.version}" if now else "it names nothing now"
        wrote = f"this run wrote `{self.ami_id}`" if has_written else "this run wrote nothing"
        return CapctlError(
            "channel-moved",
            f"{did} at the same time; {wrote}, and {names}",
            hint=f"Look at `capctl ami channels {self.channel}`, and promote the AMI that it shall name",
            details=self._settled(_version(now)) if has_written and not may_pass else (),
            may_pass=may_pass,
        )

    def _settled(self, version: int) -> tuple[str, ...]:
        """Let the statuses follow; returns what went wrong with it."""
        try:
            settle(self.ports, self.target, self.channel, version)
        except Interrupted:
            raise
        except CapctlError as failure:
            return (f"statuses of AMIs may not say so yet: {failure.message}",)
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NameCandidate:
    """Let channel `candidate` name the AMI that a bake returns, whatever it named before: of two bakes the later one wins."""

    ports: Ports
    run: Run
    name: str
    permissions: tuple[str, ...] = (*READ_AMIS, *READ_CHANNEL, "ssm:PutParameter")

    def describe(self) -> str:
        return f"channel {CANDIDATE}: -> {self.name}"

    def apply(self) -> ChannelEntry:
        ami = _taken(self.ports, CANDIDATE, Level.PAYLOAD, lambda: ami_named(self.ports.amis, self.name))
        seen = self.ports.channels.read(CANDIDATE)
        if seen and seen.ami_id == ami.id:
            return seen
        version = self._write(ami.id)
        history = wait_for(
            lambda: self.ports.channels.history(CANDIDATE),
            lambda history: any(entry.version >= version for entry in history),
            _PUBLISHED,
            self.ports.clock,
            timed_out=lambda _: _pending(CANDIDATE, ami.id),
        )
        return next(entry for entry in history if entry.version >= version)

    def verify(self, result: ChannelEntry) -> None:
        found = self.ports.channels.read(CANDIDATE)
        if found is None or found.version < result.version:
            names = f"names `{found.ami_id}`, version {found.version}" if found else "names nothing"
            raise CapctlError(
                "channel-moved",
                f"Channel `{CANDIDATE}` {names}, though it named `{result.ami_id}`, version {result.version}, a moment ago",
                hint=f"Somebody deleted it; run `capctl ami promote {result.ami_id} --to {CANDIDATE}`, or bake again",
                may_pass=True,
            )

    def _write(self, ami_id: AmiId) -> int:
        """The number of the new version, once no other bake moves the channel at this very moment."""
        refused: list[CapctlError] = []

        def write() -> int | None:
            try:
                return self.ports.channels.write(
                    CANDIDATE, ami_id, Note(by=self.run.user, reason=self.run.reason), is_first=False
                )
            except CapctlError as error:
                if error.code != "channel-moved":
                    raise
                refused.append(error)
                return None

        version = wait_for(write, bool, _PUBLISHED, self.ports.clock, timed_out=lambda _: refused[-1])
        assert version, "the wait ends with a version"
        return version


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The statuses that were set; `foreseen` when they are those that the plan told of."""

    statuses: Mapping[AmiId, AmiStatus]
    foreseen: bool

    def __str__(self) -> str:
        if self.foreseen:
            return "tagged"
        return f"tagged {_listed(self.statuses)}" if self.statuses else "nothing to tag"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleStatuses:
    """Tag as promoted the AMIs that channels other than `candidate` name, and as superseded those that none names any more.

    `foreseen` is what the plan saw; what is done follows from the channels of the moment, of which `channel` has at least `version`.
    """

    ports: Ports
    target: Target
    channel: Channel
    version: int
    foreseen: Mapping[AmiId, AmiStatus]
    permissions: tuple[str, ...] = (*READ_AMIS, *READ_CHANNELS, "ec2:CreateTags")

    def describe(self) -> str:
        return f"tag {_listed(self.foreseen)}"

    def apply(self) -> Settled:
        statuses = settle(self.ports, self.target, self.channel, self.version)
        return Settled(statuses=statuses, foreseen=statuses == self.foreseen)

    def verify(self, result: Settled) -> None:
        for ami_id, status in result.statuses.items():
            require_tags(self.ports.amis.get(ami_id), {Tag.STATUS.value: status.value})


def settle(ports: Ports, target: Target, channel: Channel, version: int) -> dict[AmiId, AmiStatus]:
    """Tag AMIs as the channels of the moment name them; returns the statuses that were set.

    A list in which `channel` has not come to `version` is from before it was moved, and is asked for again for a while. Raises
    `CapctlError("ami-status-refused" | "ami-status-unknown")`.
    """
    amis = project_amis(ports.amis, target)
    entries = wait_for(
        ports.channels.list,
        lambda found: not version or any(one.channel == channel and one.version >= version for one in found),
        READ_BACK,
        ports.clock,
    )
    changes = settled(amis.values(), promoting(entries))
    return {ami_id: set_status(ports.amis, amis[ami_id], status) for ami_id, status in _ordered(changes)}


def promoting(entries: tuple[ChannelEntry, ...]) -> frozenset[AmiId]:
    """The AMIs that are promoted by what channels name."""
    return frozenset(entry.ami_id for entry in entries if entry.channel != CANDIDATE)


def _ordered(changes: Mapping[AmiId, AmiStatus]) -> list[tuple[AmiId, AmiStatus]]:
    """The promoted first: whoever looks meanwhile finds one."""
    return sorted(changes.items(), key=lambda change: list(AmiStatus).index(change[1]))


def _listed(changes: Mapping[AmiId, AmiStatus]) -> str:
    return ", ".join(f"{ami_id} as {status}" for ami_id, status in _ordered(changes))


def _taken(ports: Ports, channel: Channel, level: Level, read: Callable[[], AmiRecord]) -> AmiRecord:
    """The AMI of this moment, which the channel must take. Raises as `require_taken` once EC2 can no longer tell of it as it was before
    its last change."""

    def look() -> AmiRecord:
        ami = read()
        require_taken(channel, ami, level)
        return ami

    early = {"ami-not-verified", "ami-not-smoked"}
    return until_it_passes(look, READ_BACK, ports.clock, may_pass=lambda error: error.code in early)


def _version(entry: ChannelEntry | None) -> int:
    return entry.version if entry else 0


def _move_of(channel: Channel, entry: ChannelEntry | None) -> str:
    if entry is None:
        return f"Somebody else deleted channel `{channel}`"
    return f"{entry.note.by or 'Somebody else'} moved channel `{channel}` to `{entry.ami_id}`"


def _pending(channel: Channel, ami_id: AmiId) -> TimedOut:
    return TimedOut(
        "channel-pending",
        f"SSM took AMI `{ami_id}` for channel `{channel}` and has not published it after {_PUBLISHED.timeout_s:g} s",
        hint="SSM publishes only an AMI that is `available` and that the caller may describe (`ec2:DescribeImages`): "
        f"`capctl ami show {ami_id}` says whether it is",
    )
