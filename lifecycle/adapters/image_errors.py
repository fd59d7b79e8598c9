"""Failures of the image package, as capctl's own; its codes and hints are kept."""

from collections.abc import Iterator
from contextlib import contextmanager

from images.errors import (
    ImageError,
    ImageMissing,
    RegistryDenied,
    RegistryMissing,
    RegistryThrottled,
    RepositoryMissing,
)
from lifecycle.errors import CapctlError, Denied, Inconclusive

_MAKE_REPOSITORY = (
    "Run `capctl bootstrap`, which makes it, then `capctl image base`; or correct `image.repository` in capctl.yaml"
)

_CORRECT_ADDRESS = "Correct `registry_url` in capctl.yaml, or leave it out where the registry is the account's ECR"


@contextmanager
def image_errors_translated(*, if_missing: str = "") -> Iterator[None]:
    """Raise `Denied`, `Inconclusive` or `CapctlError` for what the image package raises in the block.

    `if_missing` is the hint for an absent image.
    """
    try:
        yield
    except RegistryDenied as error:
        raise Denied(error.code, error.message, hint=error.hint) from error
    except RegistryThrottled as error:
        raise Inconclusive(error.code, error.message, hint=error.hint) from error
    except RepositoryMissing as error:
        raise CapctlError(error.code, error.message, hint=_MAKE_REPOSITORY) from error
    except RegistryMissing as error:
        raise CapctlError(error.code, error.message, hint=_CORRECT_ADDRESS) from error
    except ImageMissing as error:
        raise CapctlError(error.code, error.message, hint=if_missing or error.hint) from error
    except ImageError as error:
        raise CapctlError(error.code, error.message, hint=error.hint) from error
