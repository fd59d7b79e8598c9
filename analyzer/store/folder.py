"""Files in a folder or below an S3 prefix: one object per segment, and at the end one JSON Lines file per table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from threading import RLock
from typing import Any

from analyzer.contract import WORK_FOLDER, Table
from analyzer.errors import AnalyzerError, RowsInvalid
from analyzer.store.attempt import LEASE_S, RECORD, STOP_WITHIN_S, AttemptRecord, Heartbeat, claimed, say_last
from analyzer.store.base import COLUMNS, Claim, Row, SegmentRows, Work
from analyzer.store.merge import Runs
from analyzer.store.place import Changed, Place, Taken
from analyzer.store.rows import canonical, row_of_json, to_json
from analyzer.store.segments import committed, get_segment, holds_any, put_segment, remove_segments
from analyzer.store.state import FINISHED, State, busy, count_of, ended_early, ended_well, superseded, taken
from analyzer.store.table_files import file_name, read_table

LOCK = f"{WORK_FOLDER}/lock"
PROGRESS_EVERY_S = 10.0
LOOK_EVERY_S = 5.0


class FolderStore:
    """`base.Store` in a place. Raises besides: RowsInvalid, for rows that no store can take.

    `clock` gives seconds since the epoch. Where nothing dies with a process, a claim looks for `claim_s` seconds whether the attempt
    that holds the session says anything; `wait` passes the time between two looks.
    """

    name = "jsonl"

    def __init__(
        self,
        place: Place,
        *,
        clock: Callable[[], float] = time.time,
        wait: Callable[[float], None] = time.sleep,
        claim_s: float = LEASE_S,
    ) -> None:
        self._place, self._clock, self._wait, self._claim_s = place, clock, wait, claim_s
        self._turn = RLock()
        self._held = ExitStack()
        self._record: AttemptRecord | None = None
        self._seen: bytes | None = None
        self._done, self._told_s = 0.0, 0.0
        self._next_segment = 0

    def check(self) -> None:
        self._place.check()

    def claim(self, work: Work) -> Claim:
        self.close()
        with ExitStack() as held:
            try:
                held.enter_context(self._place.lock(LOCK))
            except Taken as error:
                raise busy(work.session_id) from error
            claim = self._claim(work)
            if claim.finished is None and not self._place.locks:
                # Registered last, so that it stops first.
                held.enter_context(Heartbeat(self._beat))
            self._held = held.pop_all()
        return claim

    def begin(self, segment: int) -> int:
        with self._turn:
            record = self._mine
            self._write(record.with_changes(running=sorted({*record.running, segment})))
            return record.strikes.get(segment, 0)

    def commit(self, rows: SegmentRows) -> None:
        values = canonical(rows)
        with self._turn:
            if rows.segment > self._next_segment:
                raise RowsInvalid(
                    "segment-skipped", f"Segment {rows.segment} comes before segment {self._next_segment}"
                )
            record = self._unchanged()
            put_segment(self._place, rows.segment, record.attempt, values, rows.checkpoint)
            self._next_segment = max(self._next_segment, rows.segment + 1)
            # Told with the next write: what is committed did not kill anybody, whatever the record says of it.
            running = [each for each in record.running if each != rows.segment]
            self._record = record.with_changes(running=running, fruitless=0)

    def progress(self, done: float) -> None:
        """Written at most every `PROGRESS_EVERY_S`. Raises: Superseded."""
        self._done = min(1.0, max(0.0, done))
        if self._clock() - self._told_s >= PROGRESS_EVERY_S:
            self._beat()

    def finish(self, outcome: Mapping[str, Any]) -> Mapping[str, Any]:
        """As promised: the tables' files first, then the note that the work is done, then the segments' objects go."""
        state = ended_well(outcome)
        # Outside the turn: a long session takes longer than a lease, and the sign of life has to go on meanwhile.
        noted = {**outcome, "rows": self._assemble(self._unchanged())}
        with self._turn:
            before = self._unchanged()
            record = before.with_changes(state=state, outcome=noted, running=[], strikes={}, progress=1.0, holder="")
            self._place.put(file_name(Table.JOBS), (to_json(record.job_row()) + "\n").encode())
            self._write(record)
            with suppress(AnalyzerError):
                remove_segments(self._place)
            return noted

    def give_up(self, outcome: Mapping[str, Any]) -> None:
        def note() -> None:
            record = self._record
            if record is not None and record.state is State.RUNNING:
                state = ended_early(outcome)
                fruitless = max(0, record.fruitless - (state is State.INTERRUPTED))
                ended = {"state": state, "outcome": dict(outcome), "fruitless": fruitless}
                self._write(record.with_changes(**ended, running=[], holder=""))

        self._last_word(note)

    def read(self, table: Table) -> Iterator[Row]:
        if self._mine.state in FINISHED:
            count = count_of(self._mine.outcome or {}, table)
            for row in read_table(self._place, table, count=count):
                del row["session_id"]
                yield row
            return
        with closing(Runs(table, self._mine.session_id)) as runs:
            for name in committed(self._place, since_attempt=self._mine.since_attempt):
                runs.add(get_segment(self._place, name)[0][table])
            for line in runs.merged():
                row = row_of_json(table, line)
                del row["session_id"]
                yield row

    def close(self) -> None:
        # The sign of life stops before the turn is taken, for which it may be waiting.
        self._held.close()
        if not self._place.locks:
            self._last_word(self._let_go)
        self._record = None

    def _let_go(self) -> None:
        # What is begun stays noted: it was neither committed nor given up.
        if self._record is not None and self._record.holder:
            self._place.swap(RECORD, self._record.with_changes(holder="").to_bytes(), seen=self._seen)

    def _last_word(self, action: Callable[[], None]) -> None:
        # Nothing is written behind a lock; where there is none, a late word is refused if somebody else wrote meanwhile.
        say_last(action, self._turn, wait_s=None if self._place.locks else STOP_WITHIN_S)

    @property
    def _mine(self) -> AttemptRecord:
        assert self._record is not None, "claim comes first"
        return self._record

    def _unchanged(self) -> AttemptRecord:
        """The record of this attempt. Raises: Superseded, when another one has taken its place."""
        with self._turn:
            record = self._mine
            if self._place.get(RECORD) != self._seen:
                raise superseded(record.session_id)
            return record

    def _claim(self, work: Work) -> Claim:
        seen, before = self._standing(work)
        now_s = self._clock()
        if before is not None and before.is_finished(work):
            self._record, self._seen = before, seen
            # Left over where the attempt that finished was cut off at the very end.
            remove_segments(self._place)
            return Claim(attempt=before.attempt, finished=before.outcome)
        since = before.since_attempt if before is not None and before.is_of(work) else None
        done = committed(self._place, since_attempt=since) if since is not None else []
        # What the last attempt committed lasts, also where it died before it could note that.
        if before is not None and holds_any(done, before.attempt):
            before = before.with_changes(fruitless=0)
        record = claimed(before, work, now_s=now_s, next_segment=len(done))
        content = record.to_bytes()
        try:
            self._place.swap(RECORD, content, seen=seen)
        except Changed as error:
            raise busy(work.session_id) from error
        self._record, self._seen, self._next_segment, self._done = record, content, len(done), record.progress
        self._told_s = now_s
        remove_segments(self._place, before_attempt=record.since_attempt)
        for table in Table:
            self._place.delete(file_name(table))
        checkpoint = get_segment(self._place, done[-1])[1] if done else None
        return Claim(
            attempt=record.attempt,
            next_segment=len(done),
            checkpoint=checkpoint,
            fruitless=record.fruitless - 1,
            replaces=before is not None and before.session_id == work.session_id and before.state in FINISHED,
        )

    def _standing(self, work: Work) -> tuple[bytes | None, AttemptRecord | None]:
        """The record as it is, once nobody alive holds the session. Raises: Busy; RequestInvalid, for another session's."""
        begin_s, first = self._clock(), None
        while True:
            seen = self._place.get(RECORD)
            record = AttemptRecord.from_bytes(seen, self._place.url) if seen is not None else None
            if record is not None and record.session_id != work.session_id and self._is_worth_keeping(record):
                raise taken(self._place.url, record.session_id, work.session_id)
            if record is None or self._place.locks or not record.is_alive(self._clock()):
                return seen, record
            first = first or record
            # One that has said something meanwhile lives; for one that says nothing it is worth waiting.
            if record.heartbeat_s != first.heartbeat_s or self._clock() - begin_s >= self._claim_s:
                raise busy(work.session_id)
            self._wait(LOOK_EVERY_S)

    def _is_worth_keeping(self, record: AttemptRecord) -> bool:
        """Whether there is more of a session than attempts that stored nothing, as at a video that does not decode."""
        is_held = not self._place.locks and record.is_alive(self._clock())
        return is_held or record.state in FINISHED or bool(committed(self._place, since_attempt=record.since_attempt))

    def _beat(self) -> None:
        """A sign of life with the progress, unless something else is written just now. Raises: Superseded."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            if self._record is not None and self._record.holder:
                self._told_s = self._clock()
                self._write(self._record.with_changes(progress=self._done))
        finally:
            self._turn.release()

    def _write(self, record: AttemptRecord) -> None:
        record = record.with_changes(heartbeat_s=self._clock())
        content = record.to_bytes()
        try:
            self._place.swap(RECORD, content, seen=self._seen)
        except Changed as error:
            raise superseded(record.session_id) from error
        self._record, self._seen = record, content

    def _assemble(self, record: AttemptRecord) -> dict[str, int]:
        """Write the files of all tables but the job's; returns how many rows each has."""
        counts = {str(Table.JOBS): 1}
        with ExitStack() as spools:
            runs = {table: Runs(table, record.session_id) for table in COLUMNS}
            for each in runs.values():
                spools.callback(each.close)
            for name in committed(self._place, since_attempt=record.since_attempt):
                for table, rows in get_segment(self._place, name)[0].items():
                    runs[table].add(rows)
            for table, found in runs.items():
                counts[str(table)] = 0
                with self._place.writer(file_name(table)) as stream:
                    for line in found.merged():
                        stream.write(line + b"\n")
                        counts[str(table)] += 1
        return counts
