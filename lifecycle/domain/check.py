"""One thing that was looked at."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was proven, or not. `expected` and `found` are for people.

    `is_seen` is False where nothing could be looked at any more: then it is not ok, and nothing is wrong either. `is_finding`: it is said
    of content, so that it stays wrong whoever looks; any other that is not ok says that something is not in order, or not at hand.
    `hint` is what mends it, where that can be said.
    """

    name: str
    ok: bool
    expected: str
    found: str
    is_seen: bool = True
    is_finding: bool = False
    hint: str = ""

    @property
    def line(self) -> str:
        """The check as one line of text."""
        word = "ok" if self.ok else "failed" if self.is_seen else "unseen"
        return f"{word:6}  {self.name}: expected {self.expected}, found {self.found}"
