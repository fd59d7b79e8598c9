"""A decoding child as its parent sees it: a program that speaks, falls silent or dies, and the memory that both share."""

from __future__ import annotations

import json
import mmap
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from analyzer.errors import DependencyDown
from analyzer.video.layout import Layout
from analyzer.video.messages import Message, Settings
from analyzer.video.planes import Colours, Frame

RING_BYTES = 64 << 20
# Decoding one picture takes milliseconds; a child that is silent for so long, with room to write to, hangs.
SILENCE_MAX_S = 10.0
# The first start on a machine reads its libraries from a disk that may be slow.
START_MAX_S = 60.0
# Room for the reference pictures of 8K with many decoder threads; what asks for more is no video that anybody filmed.
MEMORY_LIMIT_BYTES = 12 << 30
LAST_WORDS_BYTES = 4096
# What the interpreter and its libraries start with. What parses strangers' files is told neither the database's password nor any key.
_ENVIRONMENT = ("LANG", "LC_", "LD_", "MALLOC_", "PATH", "PYTHON", "TZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Limits of the child: how long it may be silent, also before its first word, how much it may address, how much memory pictures
    may wait in."""

    start_s: float = START_MAX_S
    silence_s: float = SILENCE_MAX_S
    memory_bytes: int = MEMORY_LIMIT_BYTES
    ring_bytes: int = RING_BYTES


class WatchedChild:
    """One decoding child and the memory that it shares. Raises: DependencyDown, when the machine has no room for another process."""

    def __init__(self, settings: Settings, watch: Watch) -> None:
        self._watch = watch
        # `is_broken`: it ended by itself before it looked at the video.
        # `was_killed`: by somebody else, as the kernel does that lacks memory; what ends itself ends by another signal.
        self.has_started = self.is_broken = self.was_killed = self.ended_well = self.hands_over = False
        self.last_words = ""
        self._complaints = b""
        self._free = self._slots = self._slot_bytes = 0
        package = Path(__file__).resolve().parents[2]
        path = os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH"))))
        known = {name: value for name, value in os.environ.items() if name.startswith(_ENVIRONMENT)}
        with ExitStack() as opened:
            try:
                self._memory = os.memfd_create("frames")
                opened.callback(os.close, self._memory)
                self._program = subprocess.Popen(
                    # Nothing is imported from the folder that happens to be the current one.
                    [
                        sys.executable,
                        "-P",
                        "-m",
                        "analyzer.video.child",
                        json.dumps(asdict(replace(settings, memory=self._memory))),
                    ],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    pass_fds=[self._memory],
                    env={**known, "PYTHONPATH": path},
                    bufsize=0,
                )
            except OSError as error:
                raise DependencyDown(
                    "decoder-not-started",
                    f"The machine does not start the program that decodes: {error.strerror or error}",
                    hint="Give the job more memory, processes or open files; then submit it again",
                ) from error
            # From here on `__exit__` closes it.
            opened.pop_all()

    def __enter__(self) -> WatchedChild:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._program.wait()
        for pipe in (self._program.stdin, self._program.stdout, self._program.stderr):
            if pipe:
                pipe.close()
        os.close(self._memory)

    @property
    def pid(self) -> int:
        return self._program.pid

    @property
    def held_bytes(self) -> int:
        return (self._slots - self._free) * self._slot_bytes

    def kill(self) -> None:
        self._program.kill()

    def map(self, layout: Layout, slots: int, slot_bytes: int) -> None:
        """Look at the memory into which the child writes `slots` pictures."""
        self._layout, self._slot_bytes, self._free, self._slots = layout, slot_bytes, slots, slots
        shared = mmap.mmap(self._memory, slots * slot_bytes, prot=mmap.PROT_READ)
        self._pixels = np.frombuffer(shared, np.uint8)

    def messages(self) -> Iterator[dict[str, Any]]:
        """What the child says, until it ends; `ended_well` and `last_words` tell how."""
        assert self._program.stdout is not None
        assert self._program.stderr is not None
        text = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._program.stdout, selectors.EVENT_READ)
            selector.register(self._program.stderr, selectors.EVENT_READ)
            while True:
                patience_s = self._watch.silence_s if self.has_started else self._watch.start_s
                ready = [key.fileobj for key, _ in selector.select(patience_s)]
                # A child that waits for a free slot has nothing to say.
                if not ready and (self._free or not self._slots):
                    self.last_words = f"the decoder was silent for {patience_s:g} s"
                    return
                if self._program.stderr in ready and not self._listen(self._program.stderr):
                    selector.unregister(self._program.stderr)
                if self._program.stdout not in ready:
                    continue
                read = os.read(self._program.stdout.fileno(), 1 << 16)
                if not read:
                    while self._listen(self._program.stderr):
                        pass
                    status = self._program.wait()
                    self.is_broken = status > 0 and not self.has_started
                    self.was_killed = status == -signal.SIGKILL
                    self.last_words = self.last_words or _how(status, self._complaints)
                    return
                *lines, text = (text + read).split(b"\n")
                for line in lines:
                    message = json.loads(line)
                    self.has_started = True
                    self.ended_well = message["message"] == Message.END
                    yield message

    def _listen(self, complaints: IO[bytes]) -> bool:
        """Keep the end of what comes on standard error; False at its end."""
        read = os.read(complaints.fileno(), 1 << 16)
        self._complaints = (self._complaints + read)[-LAST_WORDS_BYTES:]
        return bool(read)

    def frame(self, message: dict[str, Any]) -> Frame:
        self._free -= 1
        slot = message["slot"]
        return Frame(
            segment=message["segment"],
            pts_ms=message["pts_ms"],
            planes=self._layout.planes(self._pixels[slot * self._slot_bytes :]),
            colours=Colours(message["matrix"], message["full_range"]),
            release=lambda: self._release(slot),
        )

    def _release(self, slot: int) -> None:
        self._free += 1
        # A pipe without a reader, or one that is closed: this child is gone, and its memory with it.
        with suppress(OSError, ValueError):
            assert self._program.stdin is not None
            self._program.stdin.write(b"%d\n" % slot)


def _how(status: int, complaints: bytes) -> str:
    if status < 0:
        return f"the decoder died of signal {-status}"
    lines = complaints.decode(errors="replace").split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), "perhaps for want of memory")
    return f"the decoder ended with code {status}: {said}"
