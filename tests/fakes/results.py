"""`ports.Results` in memory."""


class FakeResults:
    """`counted` is what every database holds of every session, `dims` the dimensions of its vectors."""

    def __init__(self) -> None:
        self.counted: dict[str, int] = {}
        self.dims: set[int] = set()

    def rows(self, database_url: str, session_id: str) -> dict[str, int]:
        return dict(self.counted)

    def dimensions(self, database_url: str, session_id: str) -> frozenset[int]:
        return frozenset(self.dims)
