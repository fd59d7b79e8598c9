"""`capctl history`."""

import pytest

from tests.unit.lifecycle.commands.case import DEPLOYED, PUSHED, Case, Play

CASES = [
    Case(
        words="history",
        given=PUSHED,
        document={"schema": "capctl.history/1", "events": []},
    ),
    Case(
        words="history -n 1",
        given=(*DEPLOYED, "deploy --yes"),
        text="""\
at                    what    release       outcome   took  by              why
2026-01-01 00:00:00Z  deploy  {release}  promoted  2.0s  tester@machine  -""",
        document={"schema": "capctl.history/1"},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_history(case: Case, played: Play) -> None:
    played(case)
