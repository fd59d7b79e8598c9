"""What analyses left in the database."""

from typing import Protocol


class Results(Protocol):
    """Errors: `CapctlError("database-unreachable")`."""

    def rows(self, database_url: str, session_id: str) -> dict[str, int]:
        """Rows per table that the database holds for a session."""

    def dimensions(self, database_url: str, session_id: str) -> frozenset[int]:
        """The dimensions of the vectors that the database holds for a session; none without any."""
