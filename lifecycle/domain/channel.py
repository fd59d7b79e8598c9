"""Channels: names that point to AMIs, which AMIs each of them takes, and what follows for the statuses of AMIs."""

import json
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import NewType

from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.ami_status import TRANSITIONS, AmiStatus
from lifecycle.domain.proof import Level
from lifecycle.errors import CapctlError, UsageError

Channel = NewType("Channel", str)

# What a bake moves; every other channel is moved by hand, and makes its AMI `promoted`.
CANDIDATE = Channel("candidate")
# What releases take by convention.
STABLE = Channel("stable")

NAME_RULE = "up to 31 lower-case letters, digits and hyphens, starting with a letter and not with `ami-`"
_NAME = re.compile(r"(?!ami-)[a-z][a-z0-9-]{0,30}")
_NOTE_CHARACTERS, _USER_CHARACTERS = 1024, 100


def is_channel(text: str) -> bool:
    """Whether a channel may have this name: lower-case letters, digits and hyphens, and nothing that looks like an AMI's id."""
    return _NAME.fullmatch(text) is not None


def parse_channel(text: str) -> Channel:
    """Raises `UsageError("channel-invalid")` unless a channel may have this name."""
    if not is_channel(text):
        raise UsageError(
            "channel-invalid",
            f"`{text}` cannot be the name of a channel",
            hint=f"Use {NAME_RULE}",
        )
    return Channel(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Who moved a channel and why; `is_rollback` when it went back to an AMI that it had named before."""

    by: str
    reason: str = ""
    is_rollback: bool = False

    def text(self) -> str:
        """JSON of at most 1024 characters; a reason that is too long is cut with `…`, and a user's name after 100."""
        reason = self.reason
        while len(text := self._text(reason)) > _NOTE_CHARACTERS and reason:
            reason = f"{reason[: len(reason) - (len(text) - _NOTE_CHARACTERS) - 1]}…"
        return text

    def _text(self, reason: str) -> str:
        fields = {"by": self.by[:_USER_CHARACTERS], "reason": reason, "rollback": self.is_rollback}
        return json.dumps({name: value for name, value in fields.items() if value}, ensure_ascii=False)


def parse_note(text: str, *, user_arn: str) -> Note:
    """What `Note.text` wrote; of a parameter that something else wrote, its text is the reason and the user is who AWS says."""
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    if not isinstance(fields, dict) or not isinstance(fields.get("by"), str):
        return Note(by=user_arn.rpartition("/")[2], reason=text)
    return Note(by=fields["by"], reason=str(fields.get("reason", "")), is_rollback=fields.get("rollback") is True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelEntry:
    """One version of a channel: from `since` on (ISO 8601 in UTC) it named `ami_id`. Versions count from 1."""

    channel: Channel
    version: int
    ami_id: AmiId
    since: str
    note: Note

    def __str__(self) -> str:
        return f"{self.ami_id}, version {self.version}"


def required_status(channel: Channel) -> AmiStatus:
    """What an AMI must have come to at least, for this channel to name it."""
    return AmiStatus.VERIFIED if channel == CANDIDATE else AmiStatus.SMOKE_PASSED


def takes(channel: Channel, ami: AmiRecord, level: Level = Level.PAYLOAD) -> bool:
    """Whether the channel may name the AMI: it can be used, passed the level, and has come far enough.

    A way back asks for no more than the payload: what the channel named before is better than what is wrong now.
    """
    status = ami.status
    return ami.is_proven_by(level) and isinstance(status, AmiStatus) and status.is_at_least(required_status(channel))


def require_taken(channel: Channel, ami: AmiRecord, level: Level = Level.PAYLOAD) -> None:
    """Raises `CapctlError("ami-not-verified" | "ami-not-smoked" | "ami-status-unknown")` unless the channel may name the AMI."""
    if takes(channel, ami, level):
        return
    found = f"AMI `{ami.id}` is {ami.standing(level)}"
    if ami.is_proven_by(level):
        raise CapctlError(
            "ami-not-smoked",
            f"{found}; channel `{channel}` takes AMIs on which a smoke job has passed",
            hint=f"Run `capctl deploy --ami {ami.id}`, or `capctl smoke` if a release has it",
        )
    raise CapctlError(
        "ami-not-verified",
        f"{found}; channel `{channel}` needs at least a verified one",
        hint=ami.way_to_proof(level),
    )


def settled(amis: Iterable[AmiRecord], named: Collection[AmiId]) -> dict[AmiId, AmiStatus]:
    """The statuses that must change, by the AMIs that channels other than `candidate` name: those are promoted, no others are."""
    changes = {}
    for ami in amis:
        if ami.id in named and ami.is_proven and AmiStatus.PROMOTED in TRANSITIONS.get(_known(ami), ()):
            changes[ami.id] = AmiStatus.PROMOTED
        elif ami.id not in named and ami.status is AmiStatus.PROMOTED:
            changes[ami.id] = AmiStatus.SUPERSEDED
    return changes


def entry_before(history: tuple[ChannelEntry, ...], *, usable: Callable[[AmiId], bool]) -> ChannelEntry | None:
    """The newest entry of `history` (newest first) that names another AMI than the present one, and a usable one; None without."""
    return next((entry for entry in history[1:] if entry.ami_id != history[0].ami_id and usable(entry.ami_id)), None)


def promotion_order(history: tuple[ChannelEntry, ...]) -> tuple[AmiId, ...]:
    """The AMIs of `history` (newest first) in the order in which they were promoted last; going back to one promotes nothing."""
    order: list[AmiId] = []
    for entry in reversed(history):
        if not (entry.note.is_rollback and entry.ami_id in order):
            order = [*(ami_id for ami_id in order if ami_id != entry.ami_id), entry.ami_id]
    return tuple(order)


def _known(ami: AmiRecord) -> AmiStatus | None:
    return ami.status if isinstance(ami.status, AmiStatus) else None
