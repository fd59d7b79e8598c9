"""A container registry for each test, with faults to order."""

from collections.abc import Iterator

import pytest

from tests.fakes.registry import FakeRegistry, Fault, serving


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with serving() as fake:
        yield fake


@pytest.fixture
def fault() -> type[Fault]:
    return Fault
