"""`ports.Results` in memory."""

from typing import Any

from lifecycle.domain.job import contract
from lifecycle.errors import CapctlError


class FakeResults:
    """Every job leaves `left`, or nothing when it is None; `counted` is what the database holds."""

    def __init__(self, left: dict[str, Any] | None, counted: dict[str, int] | None = None) -> None:
        self.left = left
        self.counted = counted or {}
        self.read: list[str] = []

    def document(self, uri: str) -> dict[str, Any]:
        self.read.append(uri)
        if self.left is None:
            raise CapctlError("result-missing", f"The job left no result at `{uri}`", hint="Read its log", verdict=True)
        if self.left.get("schema") != contract.RESULT_SCHEMA:
            raise CapctlError("result-invalid", f"`{uri}` is no result", hint="Check the image", verdict=True)
        return self.left

    def rows(self, database_url: str, session_id: str) -> dict[str, int]:
        return dict(self.counted)
