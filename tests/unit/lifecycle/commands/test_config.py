"""`capctl config`."""

from pathlib import Path

import pytest

from tests.unit.lifecycle.commands.case import CONFIG, Case, Play, World


def write(old: str, new: str) -> None:
    Path("capctl.yaml").write_text(CONFIG.replace(old, new))


def without_account(_: World) -> None:
    write('"123456789012"', '"000000000000"')


WARNING = "Target `test` has the placeholder account 000000000000 in `capctl.yaml`"
CASES = [
    Case(
        words="config check",
        text="capctl.yaml: no mistakes; targets: test",
        document={
            "schema": "capctl.config-check/1",
            "config": "capctl.yaml",
            "targets": ["test"],
            "warnings": [],
        },
    ),
    Case(
        words="config check",
        change=without_account,
        text="capctl.yaml: no mistakes; targets: test",
        document={"warnings": [WARNING]},
        said=f"warning: {WARNING}",
    ),
    Case(
        words="config check",
        change=lambda _: write("us-west-2", "moon"),
        code=2,
        error="config-invalid",
    ),
    Case(words="config show --target nowhere", code=2, error="target-unknown"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_config(case: Case, played: Play) -> None:
    played(case)
