"""What jobs stored in the database of a stage, as somebody with `psql` sees it."""

from dataclasses import dataclass

import psycopg
from psycopg import sql

from lifecycle.domain.job import contract

# How a job came to its rows is told by its own row: two jobs with the same rows differ there.
_ROWS = tuple(table for table in contract.Table if table is not contract.Table.JOBS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How far the work on a session is: the attempt that has it, and how many segments are committed."""

    state: str
    attempt: int
    committed: int


class Sessions:
    """Reads with a connection of its own each time, so that nothing waits for it."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url

    def work(self, session: str) -> Work | None:
        """None before its first attempt, and where no job has made the tables yet."""
        query = "SELECT state, attempt, next_segment FROM analysis_jobs WHERE session_id = %s"
        with psycopg.connect(self._database_url) as connection:
            if connection.execute("SELECT to_regclass('analysis_jobs')").fetchone() == (None,):
                return None
            found = connection.execute(query, (session,)).fetchone()
        return Work(state=found[0], attempt=found[1], committed=found[2]) if found else None

    def of_video(self, url: str) -> str | None:
        """The session of a video's newest job."""
        query = "SELECT session_id FROM analysis_jobs WHERE video_url = %s ORDER BY created_at DESC LIMIT 1"
        with psycopg.connect(self._database_url) as connection:
            found = connection.execute(query, (url,)).fetchone()
        return str(found[0]) if found else None

    def rows(self, session: str) -> dict[str, list[str]]:
        """By table, all that is stored of a session, in one order and without its name."""
        query = sql.SQL(
            "SELECT (to_jsonb(t) - 'session_id')::text AS found FROM {} t WHERE session_id = %s ORDER BY found"
        )
        with psycopg.connect(self._database_url) as connection:
            return {
                str(table): [
                    str(found) for (found,) in connection.execute(query.format(sql.Identifier(table)), (session,))
                ]
                for table in _ROWS
            }
