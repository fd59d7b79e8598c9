"""One thing that was looked at."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was proven, or not. `expected` and `found` are for people."""

    name: str
    ok: bool
    expected: str
    found: str

    @property
    def line(self) -> str:
        """The check as one line of text."""
        return f"{'ok    ' if self.ok else 'failed'}  {self.name}: expected {self.expected}, found {self.found}"
