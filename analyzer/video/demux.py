"""The packets of an open file, also of one in which the demuxer loses its place; runs in the decoding child only."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import av

from analyzer.video import container as source

# A demuxer that loses its place often finds it again when it is asked on. So often without having read any further, it will not.
TRIES = 20


def packets(container: Any, stream: Any, path: Path, on_failure: Callable[[str | None], None]) -> Iterator[Any]:
    """The packets of `stream` to the end of the file at `path`, or to where reading gets no further.

    `on_failure` is told why, once for each place that is lost, and None each time that the demuxer is asked on there: that of MPEG-TS
    gives up every 64 KB.
    """
    descriptor = _descriptor(path)
    furthest = failures = 0
    is_lost = False
    while failures < TRIES:
        try:
            for packet in container.demux(stream):
                failures, is_lost = 0, False
                yield packet
            return
        except av.error.FFmpegError as error:
            place = os.lseek(descriptor, 0, os.SEEK_CUR)
            failures = 0 if place > furthest else failures + 1
            furthest = max(furthest, place)
            on_failure(None if is_lost else source.told(error))
            is_lost = True


def _descriptor(path: Path) -> int:
    """The descriptor through which FFmpeg, which does not tell it, reads the file. Raises: OSError, where it has none."""
    file = path.stat()
    for each in Path("/proc/self/fd").iterdir():
        # The folder's own descriptor is closed by now.
        with suppress(OSError):
            if os.path.samestat(os.fstat(int(each.name)), file):
                return int(each.name)
    raise FileNotFoundError(f"no open file is `{path}`")
