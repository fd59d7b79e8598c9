"""What an analysis left behind."""

from typing import Any, Protocol


class Results(Protocol):
    """Errors: `Denied`, `CapctlError("result-missing" | "result-invalid" | "database-unreachable")`."""

    def document(self, uri: str) -> dict[str, Any]:
        """The result document (`capctl.analysis/1`) of a session, as the job stored it."""

    def rows(self, database_url: str, session_id: str) -> dict[str, int]:
        """Rows per table that the database holds for a session."""
