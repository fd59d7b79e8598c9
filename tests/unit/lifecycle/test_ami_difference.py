"""What tells two AMIs apart, and what an AMI costs."""

from dataclasses import replace

import pytest

from lifecycle.domain.ami import AmiId, SnapshotRecord
from lifecycle.domain.ami_difference import AmiContent, change_text, difference, sums_text
from lifecycle.domain.cost import monthly_usd
from lifecycle.domain.models import ChangeKind, ModelFile, changed_files

AGE = ModelFile(path="models/age.onnx", bytes=3, sha256="a" * 64)
GENDER = ModelFile(path="models/gender.onnx", bytes=6, sha256="b" * 64)
A = AmiContent(
    ami_id=AmiId("ami-00000000000000001"),
    base_ami="ami-1",
    recipe="r",
    architecture="x86_64",
    commit="c0ffee",
    files=(AGE, GENDER),
)


def test_equal_content_has_no_difference() -> None:
    found = difference(A, replace(A, files=(GENDER, AGE)))
    assert (found.files, found.inputs, found.is_equal) == ((), (), True)


def test_git_commit_is_told_and_makes_no_difference() -> None:
    found = difference(A, replace(A, commit="decade"))
    assert [str(change) for change in found.inputs] == ["git commit c0ffee -> decade"]
    assert found.is_equal


def test_where_a_file_came_from_and_its_licence_make_no_difference() -> None:
    assert difference(A, replace(A, files=(replace(AGE, source="s3://b/k", licence="MIT"), GENDER))).is_equal


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("base AMI", replace(A, base_ami="other")),
        ("recipe", replace(A, recipe="other")),
        ("architecture", replace(A, architecture="other")),
    ],
)
def test_each_input_makes_a_difference(name: str, other: AmiContent) -> None:
    found = difference(A, other)
    assert not found.is_equal
    assert [(change.name, change.after) for change in found.inputs] == [(name, "other")]


@pytest.mark.parametrize(
    ("after", "kind", "text"),
    [
        ((), ChangeKind.REMOVED, "3 B"),
        ((replace(AGE, bytes=5, sha256="c" * 64),), ChangeKind.CHANGED, "3 B -> 5 B"),
        ((replace(AGE, sha256="c" * 64),), ChangeKind.CHANGED, "3 B"),
        ((replace(AGE, mode="0644"),), ChangeKind.CHANGED, "3 B, mode 0444 -> 0644"),
        ((AGE, GENDER), ChangeKind.ADDED, "6 B"),
    ],
)
def test_change_tells_kind_sizes_and_modes(after: tuple[ModelFile, ...], kind: ChangeKind, text: str) -> None:
    (change,) = changed_files((AGE,), after)
    assert (change.kind, change_text(change)) == (kind, text)


def test_sums_leave_out_what_did_not_happen() -> None:
    changes = changed_files((AGE,), (GENDER, replace(AGE, sha256="c" * 64)))
    assert sums_text(changes) == "1 added, 1 changed"
    assert sums_text(()) == ""


def snapshot(full_bytes: int | None) -> SnapshotRecord:
    return SnapshotRecord(id="snap-1", state="completed", size_gib=30, full_bytes=full_bytes, encrypted=True, tags={})


def test_cost_is_of_what_was_written_and_of_the_volume_where_nobody_tells() -> None:
    assert str(monthly_usd([snapshot(2 * 2**30)])) == "$0.10"
    assert str(monthly_usd([snapshot(None)])) == "<= $1.50"
    assert str(monthly_usd([snapshot(2 * 2**30), snapshot(None)])) == "<= $1.60"
