"""`ports.DeadLetters` in memory."""


class FakeDeadLetters:
    """`counts` are what the next looks find; the last one stays."""

    def __init__(self) -> None:
        self.counts: list[int] = [0]

    def count(self) -> int:
        return self.counts.pop(0) if len(self.counts) > 1 else self.counts[0]
