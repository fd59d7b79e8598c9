"""`ports.Results` in memory."""


class FakeResults:
    """`counted` is what every database holds of every session."""

    def __init__(self, counted: dict[str, int] | None = None) -> None:
        self.counted = counted or {}

    def rows(self, database_url: str, session_id: str) -> dict[str, int]:
        return dict(self.counted)
