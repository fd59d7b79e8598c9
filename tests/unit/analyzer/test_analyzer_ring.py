"""The child's ends of what it shares with its parent: slots and messages."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator

import pytest

from analyzer.video.layout import Layout
from analyzer.video.messages import Message
from analyzer.video.ring import BEAT_S, TOGETHER_S, Ring, Teller

LAYOUT = Layout(64, 48)
SLOTS = 3


@pytest.fixture
def give_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], object]]:
    """Writes to what the child reads as standard input."""
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as stdin, os.fdopen(write_end, "wb", buffering=0) as parent:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield lambda text: parent.write(text.encode())


def _ring(on_wait: Callable[[], object] = lambda: None) -> Ring:
    memory = os.memfd_create("frames")
    try:
        return Ring(memory, LAYOUT, SLOTS << 13, on_wait=lambda: on_wait() and None)
    finally:
        os.close(memory)


def test_the_slot_that_was_given_back_last_is_used_next(give_back: Callable[[str], object]) -> None:
    ring = _ring()
    assert ring.slots == SLOTS
    first, second = ring.take()[0], ring.take()[0]
    give_back(f"{second}\n{first}\n")
    assert ring.take()[0] == first


def test_what_is_held_back_is_told_before_the_wait_for_a_slot(give_back: Callable[[str], object]) -> None:
    """The parent gives back what it was told of: without that, both would wait."""
    # The second half of the number comes with the next wait.
    answers = iter(("1", "\n"))
    ring = _ring(on_wait=lambda: give_back(next(answers)))
    taken = {ring.take()[0] for _ in range(SLOTS)}
    assert taken == set(range(SLOTS))
    assert ring.take()[0] == 1
    assert next(answers, None) is None


def test_a_child_without_a_parent_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    read_end, write_end = os.pipe()
    os.close(write_end)
    with os.fdopen(read_end) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(SystemExit):
            _ring().take()


def test_frames_are_told_together_and_all_else_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    now_s = 5.0

    def told() -> list[str]:
        return [json.loads(line)["message"] for line in capsys.readouterr().out.splitlines()]

    teller = Teller(clock=lambda: now_s)
    teller.tell(Message.FRAME, slot=0)
    teller.beat()
    assert told() == []
    now_s += TOGETHER_S + 0.001
    teller.tell(Message.FRAME, slot=1)
    teller.beat()
    assert told() == [Message.FRAME, Message.FRAME]
    teller.tell(Message.FRAME, slot=2)
    teller.tell(Message.SEGMENT)
    assert told() == [Message.FRAME, Message.SEGMENT]
    now_s += BEAT_S
    teller.beat()
    assert told() == [Message.BEAT]
