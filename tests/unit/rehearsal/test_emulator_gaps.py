"""The list of gaps and the page made from it."""

from pathlib import Path

import lifecycle.rehearsal.emulator.gaps as gaps


def test_readme_is_rendered_from_the_list() -> None:
    page = Path(gaps.__file__).with_name("README.md")
    assert page.read_text() == gaps.readme()


def test_each_gap_is_named_once() -> None:
    names = [(gap.service, gap.subject) for gap in gaps.GAPS]
    assert len(names) == len(set(names))


def test_table_marks_what_still_differs() -> None:
    gap = gaps.Gap(service="S3", subject="x", moto="a", emulator="b", open=True)
    assert gaps.table([gap]).splitlines()[-1] == "| S3 | x † | a | b |"
