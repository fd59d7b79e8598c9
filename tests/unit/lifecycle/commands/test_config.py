"""`capctl config`."""

from pathlib import Path

import pytest

from tests.unit.lifecycle.commands.case import CONFIG, Case, Play, World


def write(old: str, new: str) -> None:
    Path("capctl.yaml").write_text(CONFIG.replace(old, new))


def with_lock(_: World) -> None:
    Path("requirements.txt").write_text("")


def with_contract(_: World) -> None:
    defaults = "defaults: {image: {base: {runtime_contract: models/runtime/contract.json}}}"
    Path("capctl.yaml").write_text(f"{CONFIG}\n{defaults}\n")
    with_lock(_)


def without_account(_: World) -> None:
    with_lock(_)
    write('"123456789012"', '"000000000000"')


WARNING = "Target `test` has the placeholder account 000000000000 in `capctl.yaml`"
NO_LOCK = "`image.base.requirements` of `test` is `requirements.txt`, which is no file: lock the packages there, with their hashes"
NO_CONTRACT = (
    "`image.base.runtime_contract` of `test` is `models/runtime/contract.json`, which is no file: get it from git, or write it with "
    "`capctl models contract`"
)
CASES = [
    Case(
        words="config check",
        text="capctl.yaml: no mistakes; targets: test",
        document={"warnings": [NO_LOCK]},
        said=f"warning: {NO_LOCK}",
    ),
    Case(
        words="config check",
        change=with_contract,
        text="capctl.yaml: no mistakes; targets: test",
        document={"warnings": [NO_CONTRACT]},
        said=f"warning: {NO_CONTRACT}",
    ),
    Case(
        words="config check",
        change=with_lock,
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
