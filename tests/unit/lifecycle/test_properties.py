"""Rules that hold for every input."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lifecycle.domain.models import ModelFile, model_set
from lifecycle.domain.release import Pointer, surplus_releases

IDS = st.lists(st.sampled_from("abcdefgh"), unique=True)
FILES = st.lists(
    st.builds(
        ModelFile,
        path=st.from_regex(r"models/[a-z]{1,8}(/[a-z]{1,8})?", fullmatch=True),
        bytes=st.integers(min_value=0, max_value=10**9),
        sha256=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    ),
    min_size=1,
    unique_by=lambda file: file.path,
)


def _deployed(release_id: str) -> Any:
    return SimpleNamespace(id=release_id)


def _pointer(active: str, previous: str) -> Pointer:
    return Pointer(
        version=1,
        release_id=active,
        previous_release_id=previous,
        job_queue_arn="",
        job_definition_arn="",
        moved_at="",
        moved_by="",
        reason="",
    )


@given(ids=IDS, active=st.sampled_from("abcdefgh"), previous=st.sampled_from(["", *"abcdefgh"]), keep=st.integers(1, 5))
def test_prune_never_takes_what_the_pointer_needs_and_leaves_no_more_than_it_may(
    ids: list[str], active: str, previous: str, keep: int
) -> None:
    surplus = surplus_releases(tuple(map(_deployed, ids)), _pointer(active, previous), keep=keep)
    gone = [deployed.id for deployed in surplus]
    left = [release_id for release_id in ids if release_id not in gone]
    needed = {active, previous} & set(ids)
    assert needed <= set(left)
    assert len(left) <= max(keep, len(needed))
    assert len(left) == len(ids) or len(left) >= keep
    assert gone == [release_id for release_id in ids if release_id not in needed][: len(gone)]


@given(files=FILES, order=st.randoms(use_true_random=False))
def test_model_set_digest_depends_on_content_alone(files: list[ModelFile], order: Any) -> None:
    shuffled = list(files)
    order.shuffle(shuffled)
    sourced = [replace(file, source="s3://elsewhere/" + file.path, licence="CC0") for file in shuffled]
    assert model_set(tuple(sourced)).digest == model_set(tuple(files)).digest


@given(files=FILES, change=st.sampled_from(["sha256", "mode", "path"]))
def test_model_set_digest_changes_with_any_part_of_any_file(files: list[ModelFile], change: str) -> None:
    other: dict[str, Any] = {change: {"sha256": "f" * 63 + "e", "mode": "0555", "path": "models/zzzzzzzzz"}[change]}
    changed = replace(files[0], **other)
    assert model_set((changed, *files[1:])).digest != model_set(tuple(files)).digest
