"""Two parts of a scene at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from lifecycle.rehearsal.commands import Capctl
from lifecycle.rehearsal.recorder import Recorder


@contextmanager
def beside(play: Callable[[Recorder], None], capctl: Capctl, record: Recorder) -> Iterator[None]:
    """Play steps in a thread while the block runs; their rows stand after the block's.

    The block's failure, or a signal, ends the command that the thread waits for. The thread's failure is raised after the block.
    """
    apart = Recorder(record.ui)
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="beside")
    playing = pool.submit(play, apart)
    try:
        yield
        playing.result()
    except BaseException:
        capctl.stop()
        raise
    finally:
        pool.shutdown()
        record.rows += apart.rows
