"""Rows of many segments in the order of their keys, with no more than a segment and a few lines of each in memory."""

from __future__ import annotations

import heapq
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO, Any

from analyzer.contract import Table
from analyzer.errors import RowsInvalid, ScratchUnusable
from analyzer.store.rows import Values, as_row, key_of, to_json

# Read at once of each segment's rows; there are more than a thousand of them in ten hours of video.
_BLOCK_BYTES = 8 << 10


class Runs:
    """Sorted rows, a run per segment, in a temporary file; each row is the line that the table's file will hold."""

    def __init__(self, table: Table, session_id: str) -> None:
        self._table, self._session_id = table, session_id
        self._key = key_of(table)
        self._bounds: list[tuple[int, int]] = []
        self._spool: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`

    def add(self, rows: Sequence[Values]) -> None:
        """Raises: ScratchUnusable, when the scratch space is full."""
        if not rows:
            return
        begin = self._spool.tell()
        try:
            for values in sorted(rows, key=self._key):
                row = {"session_id": self._session_id, **as_row(self._table, values)}
                self._spool.write(f"{to_json(self._key(values))}\t{to_json(row)}\n".encode())
            self._spool.flush()
        except OSError as error:
            raise ScratchUnusable(error) from error
        self._bounds.append((begin, self._spool.tell()))

    def merged(self) -> Iterator[bytes]:
        """The lines of all runs in the order of their keys. Raises: RowsInvalid, for a key that comes twice."""
        last: Any = None
        runs = [self._run(begin, end) for begin, end in self._bounds]
        for key, line in heapq.merge(*runs, key=lambda each: each[0]):
            if key == last:
                raise RowsInvalid("rows-invalid", f"Two segments hold a row of `{self._table}` with the key {key}")
            last = key
            yield line

    def close(self) -> None:
        self._spool.close()

    def _run(self, begin: int, end: int) -> Iterator[tuple[list[Any], bytes]]:
        rest = b""
        while begin < end:
            block = os.pread(self._spool.fileno(), min(_BLOCK_BYTES, end - begin), begin)
            begin += len(block)
            *whole, rest = (rest + block).split(b"\n")
            for each in whole:
                key, _, line = each.partition(b"\t")
                yield json.loads(key), line
