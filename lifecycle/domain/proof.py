"""What the verifications of an AMI found, as its tag tells the last of them."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum

_TOLD = re.compile(r"(?P<failed>failed )?(?P<level>payload|boot) (?P<at>\S+)")
_FAILED = "failed"


class Level(StrEnum):
    """What was read: the payload before the snapshot was taken, or also the payload on an instance of the AMI."""

    PAYLOAD = "payload"
    BOOT = "boot"

    def is_at_least(self, other: "Level") -> bool:
        """Whether this one reads all that the other reads; `<` would compare the letters."""
        order = list(Level)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a verification came to: the AMI passed `level`, or failed there. `at` is ISO 8601 in UTC."""

    level: Level
    is_failure: bool = False
    at: str = ""

    def __str__(self) -> str:
        return f"{f'{_FAILED} ' if self.is_failure else ''}{self.level} {self.at}"


def parse_finding(text: str) -> Finding | None:
    """What a tag tells; None for no finding, or the word of another version. A failure that tells no level counts as the gravest."""
    if found := _TOLD.fullmatch(text):
        return Finding(level=Level(found["level"]), is_failure=bool(found["failed"]), at=found["at"])
    return Finding(level=Level.BOOT, is_failure=True) if text.startswith(_FAILED) else None


def combined(last: Finding | None, new: Finding) -> Finding:
    """What stands after `new`: a lesser proof lifts no failure and replaces no greater proof, and a lesser failure no greater one."""
    if last is None or new.level.is_at_least(last.level):
        return new
    if new.is_failure:
        return replace(new, level=last.level) if last.is_failure else new
    return last
