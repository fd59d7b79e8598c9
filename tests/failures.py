"""What a call fails with."""

from collections.abc import Callable

import pytest

from lifecycle.errors import CapctlError


def failure(call: Callable[[], object]) -> CapctlError:
    """The failure that the call must end in."""
    with pytest.raises(CapctlError) as failed:
        call()
    return failed.value


def code_of(call: Callable[[], object]) -> str:
    """The code of that failure."""
    return failure(call).code
