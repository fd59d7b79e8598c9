"""What is said of code that no commit has."""

import pytest

from lifecycle.domain.checkout import Checkout
from lifecycle.workflows.source import told_source
from tests.fakes.ports import FakePorts


@pytest.mark.parametrize(
    ("source", "warnings"),
    [
        (Checkout(), []),
        (Checkout(commit="a" * 40), []),
        (
            Checkout(commit="a" * 40, uncommitted=("b.py",)),
            ["1 file of the code not as in commit aaaaaaaaaaaa: `b.py`"],
        ),
        (
            Checkout(uncommitted=("a", "b", "c", "d")),
            ["4 files of the code not as in any commit: `a`, `b`, `c`, …"],
        ),
        (
            Checkout(commit="a" * 40, uncommitted=("a.py",), untracked=("b.json",)),
            [
                "1 file of the code not as in commit aaaaaaaaaaaa: `a.py`",
                "1 file that git does not track left out of the image: `b.json`; `git add` what it needs",
            ],
        ),
        (
            Checkout(is_in_git=False),
            ["The code is in no git checkout: the image tells no commit, and nobody finds its source again"],
        ),
    ],
)
def test_who_makes_an_image_is_told_of_files_that_no_commit_has(source: Checkout, warnings: list[str]) -> None:
    ports = FakePorts()
    ports.code.source = source
    assert told_source(ports) == source
    assert ports.ui.lines == [f"warning: {each}" for each in warnings]
