"""One JSON Lines file per table in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from analyzer.contract import Table
from analyzer.result import write_atomically
from analyzer.store.rows import SessionRows


class JsonLinesStore:
    """Writes `<table>.jsonl` files; a second run over the same folder replaces them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def check(self) -> None:
        """Nothing to reach: the folder is this job's own."""

    def replace(self, rows: SessionRows) -> dict[str, Any]:
        """Write all rows and count the lines that are in the files afterwards."""
        counts: dict[str, int] = {}
        for table, entries in rows.tables.items():
            path = self._folder / file_name(table)
            lines = [json.dumps(row, separators=(",", ":"), allow_nan=False) + "\n" for row in entries]
            write_atomically(path, "".join(lines).encode())
            counts[str(table)] = path.read_bytes().count(b"\n")
        return {"store": "jsonl", "rows": counts}


def file_name(table: Table) -> str:
    return f"{table}.jsonl"
