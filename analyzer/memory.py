"""How the C library treats the memory of pictures."""

from __future__ import annotations

import ctypes

# Numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# As large as glibc accepts; a picture for a detector, or a crop, is smaller.
_PICTURE_MAX_BYTES = 32 << 20
_KEPT_BYTES = 64 << 20


def keep_freed_pictures() -> None:
    """Have the memory of a picture that is gone kept for the next one of its size.

    By default it goes back to the kernel, and to fetch it again, page by page, takes twice the time of the work on the picture.
    Where the C library is another one, nothing is changed.
    """
    choose = getattr(ctypes.CDLL(None), "mallopt", None)
    if choose is not None:
        choose(_M_MMAP_THRESHOLD, _PICTURE_MAX_BYTES)
        choose(_M_TRIM_THRESHOLD, _KEPT_BYTES)
