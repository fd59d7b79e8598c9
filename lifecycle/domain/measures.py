"""Amounts and durations as people read them."""

from collections.abc import Sequence
from datetime import timedelta


def size_text(size_bytes: int) -> str:
    """`345 B`, `12.3 kB`, `1.5 GB`; 1 kB = 10^3 bytes."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= size:
            return f"{size_bytes / size:.1f} {unit}"
    return f"{size_bytes} B"


def counted(number: int, noun: str) -> str:
    """`1 file`, `2 files`; `noun` is one whose plural takes an s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def first_few(names: Sequence[str], *, most: int) -> str:
    """`a, b, c`; of more than `most` the first ones and `…`."""
    return ", ".join((*names[:most], "…") if len(names) > most else names)


def duration_text(duration_s: float) -> str:
    """`0.4s`, `12.3s`, `4m05s`, `1h02m`."""
    if duration_s < 59.95:
        return f"{duration_s:.1f}s"
    minutes, seconds = divmod(round(duration_s), 60)
    return f"{minutes}m{seconds:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"


def age_text(age: timedelta | None) -> str:
    """`12m`, `5h`, `3d`: whole minutes, hours or days that have passed; `-` for what is not known."""
    if age is None:
        return "-"
    minutes = age // timedelta(minutes=1)
    if minutes < 120:
        return f"{minutes}m"
    return f"{minutes // 60}h" if minutes < 48 * 60 else f"{minutes // (24 * 60)}d"
