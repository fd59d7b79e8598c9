"""Messages that nobody could work off."""

from typing import Protocol


class DeadLetters(Protocol):
    """Errors: `Denied`."""

    def count(self) -> int:
        """About how many there are, as SQS counts; 0 where the base stack has no queue for them."""
