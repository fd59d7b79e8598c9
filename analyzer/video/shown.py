"""When pictures are shown: a time that lies far ahead of its neighbours is replaced.

Pictures are stored before others that are shown earlier. What is said to be shown later than all of these is a lie or lies behind a
pause, and the following packets get behind the pause as well.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from typing import Any

from analyzer.video.clock import BACKWARD_S
from analyzer.video.order import DEPTH

# Encoders put no more pictures between two that others need than decoders can keep, and decode these as much ahead.
AHEAD = 2 * DEPTH


def soon(
    packets: Iterator[Any], time_base: Fraction, frame_duration: Fraction, end_pts: Fraction | None
) -> Iterator[Any]:
    """The packets, in units of `time_base`, whose times of decoding are right and whose frames mostly last `frame_duration`.

    The last ones are believed if they come before the container's end, `end_pts`. A file may show everything late; what counts is
    how much later than its other pictures one is shown.
    """
    # Whole, because each packet is compared with it.
    limit = math.ceil(AHEAD * frame_duration or BACKWARD_S / time_base)
    # Containers round their duration.
    latest = -math.inf if end_pts is None else end_pts + BACKWARD_S / time_base
    held: deque[Any] = deque()
    least: int | None = None
    for packet in packets:
        held.append(packet)
        delay = _delay(packet)
        if delay is not None:
            least = max(0, delay if least is None else min(least, delay))
        while held and (_is_believed(held, limit, least or 0) or len(held) > AHEAD):
            if not _is_believed(held, limit, least or 0):
                held[0].pts = held[0].dts + (least or 0)
            yield held.popleft()
    while held:
        is_before_end = held[0].pts is not None and held[0].pts <= latest
        # Nothing is behind the last ones that their times could reach.
        if not is_before_end and not _is_believed(held, limit + (least or 0), least or 0):
            held[0].pts = held[0].dts + (least or 0)
        yield held.popleft()


def _delay(packet: Any) -> int | None:
    """How long its picture is kept until it is shown."""
    return None if packet.pts is None or packet.dts is None else packet.pts - packet.dts


def _is_believed(held: deque[Any], limit: int, least: int) -> bool:
    """Whether the first is shown soon, or those behind it go on to the time at which it is shown."""
    delay = _delay(held[0])
    if delay is None or delay <= limit:
        return True
    times = (packet.dts for packet in islice(held, 1, None) if packet.dts is not None)
    return any(time + least >= held[0].pts for time in times)
