"""Which line of a log tells why a job failed."""

from __future__ import annotations

import pytest

from lifecycle.domain.log_text import last_error


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], ""),
        (["", "  "], ""),
        (["starts", "ends"], "ends"),
        (
            ["error[bug]: KeyError: 'a' (at job.py:1 run)", "hint: mend it"],
            "error[bug]: KeyError: 'a' (at job.py:1 run)",
        ),
        (["Traceback (most recent call last):", '  File "a.py", line 1', "ImportError: no b", ""], "ImportError: no b"),
        (["my.pack.OddError: first", "then ends"], "my.pack.OddError: first"),
        (['{"level":"error","message":"no disk","free":0}', '{"event":"progress"}'], "error no disk free=0"),
        (["errors were few"], "errors were few"),
        (["0 errors", "done"], "done"),
        (["x" * 600], "x" * 500 + "…"),
    ],
)
def test_last_line_that_tells_of_an_error_is_the_reason(lines: list[str], told: str) -> None:
    assert last_error(lines) == told
