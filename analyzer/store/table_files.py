"""The tables of a finished session as JSON Lines in a place, and the one reader of them: damage is told with its file."""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.contract import Table
from analyzer.errors import InputUnreadable, Mismatch
from analyzer.store.base import Row
from analyzer.store.place import Place, lines
from analyzer.store.rows import job_of_json, row_of_json


def file_name(table: Table) -> str:
    return f"{table}.jsonl"


def read_table(place: Place, table: Table, *, count: int | None) -> Iterator[Row]:
    """The rows with their `session_id`, a piece at a time; None for `count` takes as many as there are.

    Raises: Mismatch, where the file is gone, a line is no row of the table, or there are not `count`; the last shows at the end.
    """
    number = 0
    try:
        for number, line in enumerate(lines(place, file_name(table)), 1):
            try:
                row = row_of_json(table, line)
            except ValueError as error:
                raise _damaged(place, table, f"its line {number} is no row: {error}") from error
            yield row
    except InputUnreadable as error:
        raise _damaged(place, table, "it is gone") from error
    if count is not None and number != count:
        raise _damaged(place, table, f"it holds {number} rows, but {count} were stored")


def read_job(place: Place) -> Row:
    """The one row of `analysis_jobs.jsonl`. Raises: InputUnreadable, where no session was finished; Mismatch, where it is damaged."""
    found = list(lines(place, file_name(Table.JOBS)))
    try:
        (line,) = found
        return job_of_json(line)
    except ValueError as error:
        raise _damaged(place, Table.JOBS, f"it is not the one line of a finished job: {error}") from error


def _damaged(place: Place, table: Table, what: str) -> Mismatch:
    url = place.url.rstrip("/")
    return Mismatch(
        "table-damaged",
        f"`{url}/{file_name(table)}` is damaged: {what}",
        hint=f"Bring the file back, or delete `{url}/work/`, then the next job of its session does the work again",
    )
