"""AMIs and their snapshots as EC2 describes them, and what follows from that."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NewType

from lifecycle.domain.ami_status import AmiState, AmiStatus, UnknownStatus
from lifecycle.domain.moments import told_moment
from lifecycle.domain.proof import Finding, Level, parse_finding
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, UsageError

AmiId = NewType("AmiId", str)

_AMI_ID = re.compile(r"ami-[0-9a-z]{8,32}")


def is_ami_id(text: str) -> bool:
    """Whether `text` looks like `ami-0123456789abcdef0`."""
    return _AMI_ID.fullmatch(text) is not None


def parse_ami_id(text: str) -> AmiId:
    """Raises `UsageError` unless `text` is an AMI id."""
    if not is_ami_id(text):
        raise UsageError("ami-id-invalid", f"`{text}` is not an AMI id", hint="Pick one from `capctl ami ls`")
    return AmiId(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRecord:
    """A snapshot. `size_gib` is the volume's size, `full_bytes` what was ever written to it, None where EC2 does not tell.

    `ami_id` is the AMI that EC2 made it for, and `source_ami` the one that EC2 copied then; "" where there is none. `started` is ISO
    8601 in UTC.
    """

    id: str
    state: str
    size_gib: int
    full_bytes: int | None
    encrypted: bool
    tags: dict[str, str]
    ami_id: str = ""
    source_ami: str = ""
    started: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Who else may start instances of an AMI: one of an account id, the ARN of an organisation or unit, or `all` for everybody."""

    account: str = ""
    organization: str = ""
    unit: str = ""
    group: str = ""

    def __str__(self) -> str:
        return self.account or self.organization or self.unit or self.group


@dataclass(frozen=True, slots=True, kw_only=True)
class AmiRecord:
    """An AMI as EC2 describes it. Times are ISO 8601 in UTC, and "" where EC2 tells none.

    `imds_v2`: its instances answer token requests only. `is_protected`: EC2 refuses to deregister it. `last_launched` comes up to a day
    late. `source_ami` is the AMI that it was copied from, or that its instance was started from, in `source_region`; `source_instance`
    is that instance, which EC2 tells of newer AMIs only.
    """

    id: AmiId
    name: str
    state: AmiState
    state_reason: str
    created: str
    architecture: str
    snapshot_ids: tuple[str, ...]
    size_gib: int
    tags: dict[str, str]
    root_device: str = "/dev/xvda"
    imds_v2: bool = False
    is_protected: bool = False
    deprecated_at: str = ""
    last_launched: str = ""
    source_ami: str = ""
    source_region: str = ""
    source_instance: str = ""

    @property
    def status(self) -> AmiStatus | UnknownStatus | None:
        """The capctl status, or None for an AMI that carries none: capctl did not bake it, or has not tagged it yet."""
        word = self.tags.get(Tag.STATUS)
        if not word:
            return None
        return AmiStatus(word) if word in set(AmiStatus) else UnknownStatus(word)

    @property
    def is_ours(self) -> bool:
        """Whether a bake or a copy of capctl made it, as its tags say: the project's tag alone is anybody's, and so is the name."""
        return Tag.RUN in self.tags and not self.is_copied_by_hand

    @property
    def copied_from(self) -> tuple[str, str]:
        """The region and the id of the AMI that capctl copied, as the copy's tag says; "" and "" of what is no copy."""
        region, _, source = self.tags.get(Tag.COPIED_FROM, "").rpartition("/")
        return region, source

    @property
    def is_copied_by_hand(self) -> bool:
        """Whether EC2 names a source that neither a bake nor a copy of capctl took: it keeps the name, and may keep the tags."""
        taken = {self.tags.get(Tag.BASE_AMI), self.copied_from[1]}
        return bool(self.source_ami) and not self.source_instance and self.source_ami not in taken

    @property
    def is_off(self) -> bool:
        """Whether nobody can start it: it is disabled, or EC2 gave it up."""
        return self.state is AmiState.DISABLED or self.state.is_dead

    @property
    def withdrawn_since(self) -> datetime | None:
        """Since when it is off and tagged as withdrawn; None unless it is both and tells when that was.

        What was started since then was started from an AMI that somebody had enabled: the moment that it tells has passed away. Nothing
        tells of one that was enabled and disabled in EC2 itself between two looks, without a start: it keeps its moment.
        """
        status = self.status
        if not (self.is_off and isinstance(status, AmiStatus) and status.is_withdrawn):
            return None
        at, launched = told_moment(self.tags.get(Tag.DISABLED_AT, "")), told_moment(self.last_launched)
        return None if at and launched and launched > at else at

    @property
    def finding(self) -> Finding | None:
        """What the last verification came to, as its tag tells; None before the first."""
        return parse_finding(self.tags.get(Tag.VERIFIED, ""))

    @property
    def has_failed(self) -> bool:
        """Whether the last verification found something wrong."""
        return self.finding is not None and self.finding.is_failure

    @property
    def is_found_wrong(self) -> bool:
        """Whether the last verification failed on an instance of it: another one of the same disk would say the same."""
        return self.finding is not None and self.finding.is_failure and self.finding.level is Level.BOOT

    @property
    def is_proven(self) -> bool:
        """Whether it can be used and passed every check the last time: at least verified, not withdrawn, and not found wrong since."""
        status = self.status
        proven = isinstance(status, AmiStatus) and status.is_at_least(AmiStatus.VERIFIED) and not status.is_withdrawn
        return proven and self.state is AmiState.AVAILABLE and not self.has_failed

    def is_proven_by(self, level: Level) -> bool:
        """Whether it is proven, and passed this level."""
        passed = self.finding.level if self.finding else Level.PAYLOAD
        return self.is_proven and passed.is_at_least(level)

    def _lacks(self, level: Level) -> bool:
        return self.is_proven and not self.is_proven_by(level)

    @property
    def is_unfinished(self) -> bool:
        """Whether a bake may go on with it or replace it: it never passed its checks, and nobody else put it into its state.

        A disabled AMI, or one in a state that may pass, is none of a bake's, whatever its tag says.
        """
        goes_on = self.state in {AmiState.PENDING, AmiState.AVAILABLE} or self.state.is_dead
        return goes_on and self.status in {None, AmiStatus.CANDIDATE}

    @property
    def is_half_made(self) -> bool:
        """Whether no bake and no copy got it to its end: EC2 gave it up, or it never was so far that it could be proven, or used.

        What was proven and brought back after it was withdrawn is a candidate too, and not half-made.
        """
        has_come_further = self.last_launched or self.tags.keys() & {Tag.EVIDENCE, Tag.VERIFIED, Tag.COPIED_FROM}
        return self.is_unfinished and (self.state.is_dead or not has_come_further)

    def is_deployable_by(self, level: Level) -> bool:
        """Whether a release may take it: it is proven by this level, and says which model set it holds."""
        return self.is_proven_by(level) and bool(self.tags.get(Tag.MODEL_SET))

    def sole_snapshots(self, holders: Mapping[str, Collection[AmiId]]) -> tuple[str, ...]:
        """Those of its snapshots that no other AMI has, out of `Amis.holders`."""
        return tuple(one for one in self.snapshot_ids if not set(holders.get(one, ())) - {self.id})

    def age(self, now: datetime) -> timedelta | None:
        """How long ago it was made, and never less than nothing: AWS's clock may be ahead. None where EC2 does not tell when that was."""
        made = told_moment(self.created)
        return max(now - made, timedelta()) if made else None

    def known_status(self) -> AmiStatus | None:
        """The status, to decide by. Raises `CapctlError("ami-status-unknown")` for the word of another version."""
        if isinstance(self.status, UnknownStatus):
            raise CapctlError(
                "ami-status-unknown",
                f"AMI `{self.id}` is tagged `{Tag.STATUS}={self.status}`, which this version of capctl does not know",
                hint="Use the version of capctl that tagged it, or a newer one",
            )
        return self.status

    def standing(self, level: Level = Level.PAYLOAD) -> str:
        """How far it has come in words, its state where that says more, that it failed, and that it never passed `level`.

        Raises as `known_status`.
        """
        status: str = self.known_status() or "not baked by capctl"
        failed = f", and its last verification failed (`{self.tags[Tag.VERIFIED]}`)" if self.has_failed else ""
        lacks = f", and no {level} of it was verified (`ami.verify_boot`)" if self._lacks(level) else ""
        return (
            f"{status if self.state in {AmiState.AVAILABLE, status} else f'`{self.state}` and {status}'}{failed}{lacks}"
        )

    def way_from_failure(self) -> str:
        """What to do for one whose content was found wrong, as a hint."""
        again = f"`capctl ami verify {self.id} --boot` if the fault was not the AMI's"
        return f"Run `capctl ami bake --force` for another one, or {again}"

    def way_to_proof(self, level: Level = Level.PAYLOAD) -> str:
        """What to do for one that is not proven by `level`, as a hint."""
        if self._lacks(level):
            return f"Run `capctl ami verify {self.id} --boot`"
        if self.status is None:
            return "Run `capctl ami bake` for one of the locked models; what capctl did not bake only AWS's own tools remove"
        if self.status is AmiStatus.DISABLED or self.state is AmiState.DISABLED:
            return f"Run `capctl ami disable {self.id} --undo`, which enables and verifies it, or take another AMI"
        if self.has_failed:
            return self.way_from_failure()
        if self.state in {AmiState.PENDING, AmiState.AVAILABLE} and self.status is AmiStatus.CANDIDATE:
            return f"Run `capctl ami verify {self.id} --boot`, or `capctl ami bake`, which verifies the AMI of the locked models"
        return "Pick one from `capctl ami ls --status verified`"
