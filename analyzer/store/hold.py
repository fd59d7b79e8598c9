"""An attempt's hold on its session: one connection whose advisory lock lives exactly as long as it does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import RLock
from typing import TypeVar

import psycopg

from analyzer.errors import Busy
from analyzer.store.database import Connection, Database, Patience, is_lost, register_vectors
from analyzer.store.state import busy, superseded

T = TypeVar("T")

# An attempt that is told to stop has ten seconds, six of which its last segments may have taken: a turn to wait for, a connection on
# which nothing comes back, another one that is made (libpq waits two seconds or more), and a statement.
_LAST_WORD = Patience(connect_s=2, statement_s=1, lock_s=1, silence_s=0)


class Hold:
    """Threads take turns; a lost connection is made again once per transaction, with the lock."""

    def __init__(self, database: Database, session_id: str) -> None:
        self._database = database
        self._session_id = session_id
        self._turn = RLock()
        self._connection: Connection | None = None

    def take(self) -> None:
        """Raises: Busy, while another attempt of the session is alive; DependencyDown; Mismatch."""
        with self._turn, self._database.explained():
            connection = self._database.connect()
            try:
                self._lock(connection)
                register_vectors(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection

    def transaction(self, action: Callable[[Connection], T]) -> T:
        """Run `action` in a transaction of its own, twice where the connection is lost meanwhile.

        Raises: Superseded, when another attempt took the lock in between; DependencyDown, Mismatch or RowsInvalid.
        """
        with self._turn:
            try:
                if self._connection is not None:
                    return self._run(self._connection, action)
            except psycopg.Error as error:
                if self._connection is None or not is_lost(self._connection, error):
                    raise self._database.explain(error) from error
            except Exception:
                raise
            except BaseException:
                # Stopped in the middle of a statement: nothing can be said over this connection any more.
                self.release()
                raise
            self.release()
            try:
                self.take()
            except Busy as error:
                raise superseded(self._session_id) from error
            assert self._connection is not None
            with self._database.explained():
                return self._run(self._connection, action)

    def transaction_at_leisure(self, action: Callable[[Connection], T]) -> T | None:
        """Run `action`, or do nothing where another thread has its turn or the database does not serve."""
        if not self._turn.acquire(blocking=False):
            return None
        try:
            with suppress(psycopg.Error):
                if self._connection is not None:
                    return self._run(self._connection, action)
            return None
        finally:
            self._turn.release()

    def last_word(self, action: Callable[[Connection], object]) -> None:
        """Run `action` within seconds, over another connection if need be, or give up. Never raises."""
        brief = Database(url=self._database.url, patience=_LAST_WORD)
        with suppress(Exception):
            if self._turn.acquire(timeout=_LAST_WORD.lock_s):
                try:
                    if self._connection is not None:
                        with brief.transaction(self._connection):
                            action(self._connection)
                        return
                finally:
                    self._turn.release()
        with suppress(Exception), brief.connection() as connection, brief.transaction(connection):
            action(connection)

    def release(self) -> None:
        """Let the session go; a server that is gone is no error."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error, OSError):
                connection.close()

    def _run(self, connection: Connection, action: Callable[[Connection], T]) -> T:
        with self._database.transaction(connection):
            return action(connection)

    def _lock(self, connection: Connection) -> None:
        patience = self._database.patience
        _wait_for_locks(connection, patience.claim_s)
        try:
            connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [f"analyzer:{self._session_id}"])
        except psycopg.errors.LockNotAvailable as error:
            raise busy(self._session_id) from error
        _wait_for_locks(connection, patience.lock_s)


def _wait_for_locks(connection: Connection, wait_s: float) -> None:
    connection.execute("select set_config('lock_timeout', %s, false)", [f"{round(1000 * wait_s)}ms"])
