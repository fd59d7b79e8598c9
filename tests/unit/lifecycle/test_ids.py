"""Which words can be ids."""

from __future__ import annotations

import pytest

from lifecycle.domain.ids import parse_job_id, parse_release_id
from lifecycle.errors import UsageError
from tests.failures import failure
from tests.fakes.releases import make_release

UUID = "876da822-4198-45f2-a252-6cea32512ea8"


@pytest.mark.parametrize("text", [UUID, f"{UUID}:0", f"{UUID}:9999", f"{UUID}#1"])
def test_job_ids_are_uuids_with_an_index_for_one_of_an_array(text: str) -> None:
    assert parse_job_id(text) == text


def test_release_ids_are_what_releases_are_named() -> None:
    assert parse_release_id(make_release().id) == make_release().id


@pytest.mark.parametrize("text", ["", "abc", UUID[:-1], f"{UUID}:", f"{UUID}:x", f" {UUID}", f"{UUID}\n", "../../etc"])
def test_what_cannot_be_an_id_is_a_mistake_of_the_command_line(text: str) -> None:
    for parse, code in ((parse_job_id, "job-id-invalid"), (parse_release_id, "release-id-invalid")):
        refused = failure(lambda parse=parse: parse(text))  # type: ignore[misc]
        assert isinstance(refused, UsageError)
        assert (refused.code, refused.hint.startswith("`capctl ")) == (code, True)


def test_capital_letters_are_told_apart() -> None:
    refused = failure(lambda: parse_job_id(UUID.upper()))
    assert refused.hint == f"It is written in small letters: `{UUID}`"
    assert failure(lambda: parse_release_id("9208CE40AFEF")).hint == "It is written in small letters: `9208ce40afef`"
