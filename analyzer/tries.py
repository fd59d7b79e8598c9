"""How often a job was tried in vain, which tells what fails by itself from what was only cut off."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.errors import TriedTooOften


@dataclass(slots=True, kw_only=True)
class Tries:
    """`count` attempts in a row, this one included, have committed nothing, and were not told to stop; None until this one has begun.

    An attempt that would be more than `most` in a row is not made; None = it is.
    """

    most: int | None = None
    count: int | None = None

    def begin(self, fruitless: int) -> None:
        """`fruitless` attempts in a row came before this one. Raises: TriedTooOften."""
        self.count = fruitless + 1
        if self.most is not None and self.count > self.most:
            raise TriedTooOften(
                "tried-too-often",
                f"The last {fruitless} attempts in a row ended without anything that lasts",
                hint="Each of them failed, or died without a word: look for out of memory and crashes where they ran",
            )

    def committed(self) -> None:
        """What this attempt has done lasts, however it ends."""
        self.count = 0
