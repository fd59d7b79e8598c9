"""The states that EC2 gives an AMI, and how far capctl has brought it."""

from collections.abc import Mapping
from enum import StrEnum

from lifecycle.domain.states import ServiceState


class AmiState(ServiceState):
    """EC2's own state of an AMI; `unknown` stands for a word that EC2 has learnt since."""

    PENDING = "pending"
    AVAILABLE = "available"
    TRANSIENT = "transient"
    FAILED = "failed"
    ERROR = "error"
    INVALID = "invalid"
    DISABLED = "disabled"
    DEREGISTERED = "deregistered"
    UNKNOWN = "unknown"

    @property
    def is_dead(self) -> bool:
        """Whether EC2 gave the AMI up: nothing was ever started from it, and nothing can be."""
        return self in {AmiState.FAILED, AmiState.ERROR, AmiState.INVALID}


class AmiStatus(StrEnum):
    """How far an AMI has come, in the order of its life; its tag tells it.

    candidate: complete · verified: passed every check · smoke-passed: a job on it did what it should · promoted: releases take it ·
    superseded: another was promoted after it · disabled: withdrawn.
    """

    CANDIDATE = "candidate"
    VERIFIED = "verified"
    SMOKE_PASSED = "smoke-passed"
    PROMOTED = "promoted"
    SUPERSEDED = "superseded"
    DISABLED = "disabled"

    def is_at_least(self, other: "AmiStatus") -> bool:
        """Whether this one comes at the same time or later; `<` would compare the letters."""
        order = list(AmiStatus)
        return order.index(self) >= order.index(other)

    @property
    def is_withdrawn(self) -> bool:
        """Whether nothing may use the AMI any more."""
        return self is AmiStatus.DISABLED


class UnknownStatus(str):
    """The word of an AMI's tag when no status of this version is called so: it can be told, and nothing follows from it."""

    __slots__ = ()


# None: not tagged yet. What was withdrawn stays so for every bake; only `ami disable --undo` makes it a candidate again.
TRANSITIONS: Mapping[AmiStatus | None, frozenset[AmiStatus]] = {
    None: frozenset({AmiStatus.CANDIDATE}),
    AmiStatus.CANDIDATE: frozenset({AmiStatus.DISABLED, AmiStatus.VERIFIED}),
    AmiStatus.VERIFIED: frozenset({AmiStatus.DISABLED, AmiStatus.SMOKE_PASSED}),
    AmiStatus.SMOKE_PASSED: frozenset({AmiStatus.DISABLED, AmiStatus.PROMOTED}),
    AmiStatus.PROMOTED: frozenset({AmiStatus.SUPERSEDED}),
    AmiStatus.SUPERSEDED: frozenset({AmiStatus.DISABLED, AmiStatus.PROMOTED}),
    AmiStatus.DISABLED: frozenset(),
}
# What a verification that fails makes a candidate again. Releases and channels may have what was promoted: that keeps its status.
TAKEN_BACK = frozenset({AmiStatus.VERIFIED, AmiStatus.SMOKE_PASSED})
