"""Failures of the image package, as capctl's own; its codes and hints are kept."""

from collections.abc import Iterator
from contextlib import contextmanager

from images.errors import ImageError, ImageMissing, RegistryDenied
from lifecycle.errors import CapctlError, Denied


@contextmanager
def image_errors_translated(*, if_missing: str = "") -> Iterator[None]:
    """Raise `Denied` or `CapctlError` for what the image package raises in the block; `if_missing` is the hint for an absent image."""
    try:
        yield
    except RegistryDenied as error:
        raise Denied(error.code, error.message, hint=error.hint) from error
    except ImageMissing as error:
        raise CapctlError(error.code, error.message, hint=if_missing or error.hint) from error
    except ImageError as error:
        raise CapctlError(error.code, error.message, hint=error.hint) from error
