"""The way to the place where an earlier attempt, or an earlier child, stopped: what is decoded again so that what follows can be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from analyzer.video.clock import time_of
from analyzer.video.info import Position

# A group of pictures larger than this is not decoded again before the keyframe where decoding has to begin.
PREROLL_BYTES = 64 << 20


class Approach:
    """From the beginning of a file to `position`; `beat` is called for each packet that is passed over."""

    def __init__(self, position: Position, beat: Callable[[], None]) -> None:
        self._position, self._beat = position, beat
        # Whether pictures of the asked place, or of later ones, depend on what is read now.
        self.matters = False

    def packets(self, packets: Iterator[Any], begin: Callable[[Position], None]) -> Iterator[Any]:
        """Those from the asked place on, before which `begin` is told where that is, and before them those that they need."""
        position = self._position
        decoded = self._from_keyframe(packets)
        for packet in decoded:
            pts = time_of(packet)
            if self.matters and pts is not None and pts >= position.start_pts:
                begin(replace(position, start_pts=pts))
                yield packet
                yield from decoded
                return
            yield packet

    def _from_keyframe(self, packets: Iterator[Any]) -> Iterator[Any]:
        """Packets from where decoding has to begin, and before them those since the keyframe before that."""
        position = self._position
        # A stream may begin, and go on, without a keyframe.
        is_from_first = position.decode_pts is not None and position.decode_pts <= position.origin_pts
        held: list[Any] = []
        held_bytes = 0
        for packet in packets:
            keyframe_pts = time_of(packet) if packet.is_keyframe else None
            if is_from_first or (keyframe_pts is not None and keyframe_pts >= position.keyframe_pts):
                yield from held
                self.matters = True
                yield packet
                yield from packets
                return
            if keyframe_pts is not None:
                held, held_bytes = [], 0
            held_bytes += packet.size
            held = [*held, packet] if held_bytes <= PREROLL_BYTES else []
            self._beat()
