"""Verify: an AMI by its tags, its state and what its instance reported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.ami_status import AmiState, AmiStatus
from lifecycle.domain.digest import digest_of
from lifecycle.domain.evidence import why_no_copy
from lifecycle.domain.models import model_set
from lifecycle.domain.tags import REQUIRED_TAGS, Tag
from lifecycle.workflows.list_amis import list_amis
from lifecycle.workflows.verify_ami import ami_rejection, verify_ami
from tests.fakes.amis import BASE_AMI
from tests.fakes.bakes import CONTENTS, Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.mark.parametrize(
    ("tag", "check"),
    [
        (Tag.MODEL_SET, "payload digest"),
        (Tag.BAKE_DIGEST, "bake digest"),
        (Tag.EVIDENCE, "payload evidence"),
        (Tag.STATUS, "tags"),
    ],
)
def test_verify_finds_a_tag_that_was_changed(scene: Scene, tag: Tag, check: str) -> None:
    ami = scene.bake()
    scene.amis.tag(ami.id, {tag.value: "" if tag is Tag.STATUS else digest_of(b"forged")})
    assert check in [failed.name for failed in verify_ami(scene.ports, scene.target, scene.amis, ami.id).failed]


def test_bake_digest_is_told_as_it_is_compared_also_of_a_forced_bake(scene: Scene) -> None:
    first, forced = scene.bake(), scene.bake(force=True)
    told = {}
    for ami in (first, forced):
        checks = verify_ami(scene.ports, scene.target, scene.amis, ami.id).checks
        (told[ami.id],) = [check for check in checks if check.name == "bake digest"]
    assert all(check.ok for check in told.values())
    assert told[first.id].found == told[first.id].expected
    assert told[forced.id].expected == f"{told[first.id].expected}…"
    assert told[forced.id].found.endswith(forced.name)


def test_verify_finds_a_report_that_was_changed(scene: Scene) -> None:
    ami = scene.bake()
    for uri in scene.reports():
        scene.objects.write(uri, scene.objects.stored[uri][0].replace(b"age.onnx", b"AGE.onnx"))
    assert {check.name for check in verify_ami(scene.ports, scene.target, scene.amis, ami.id).failed} == {
        "payload evidence",
        "payload digest",
        "payload markers",
    }


def found_by(scene: Scene, ami: AmiRecord, name: str) -> str:
    """What the failed check of that name found."""
    (check,) = [
        failed for failed in verify_ami(scene.ports, scene.target, scene.amis, ami.id).failed if failed.name == name
    ]
    return check.found


def test_verify_names_the_snapshot_that_lacks_a_tag(scene: Scene) -> None:
    ami = scene.bake()
    (snapshot,) = ami.snapshot_ids
    scene.amis.snapshot_tags[snapshot] = {**ami.tags, Tag.RECIPE.value: "other"}
    del scene.amis.snapshot_tags[snapshot][Tag.PROJECT]
    assert found_by(scene, ami, "snapshot tags") == (
        f"{snapshot} has {Tag.RECIPE}=other, {snapshot} has no {Tag.PROJECT}"
    )


@pytest.mark.parametrize(("state", "said"), [("pending", "pending"), ("error", "error"), (None, "not found")])
def test_verify_names_the_snapshot_that_is_not_completed(scene: Scene, state: str | None, said: str) -> None:
    ami = scene.bake()
    (snapshot,) = ami.snapshot_ids
    scene.amis.snapshot_states[snapshot] = state
    assert found_by(scene, ami, "snapshot") == f"{snapshot} {said}"


def change_report(scene: Scene, ami: AmiRecord, old: bytes, new: bytes) -> None:
    """Another report, under the names of the instance's own."""
    for uri in scene.reports():
        data = scene.objects.stored[uri][0]
        assert old in data
        scene.objects.write(uri, data.replace(old, new))


def test_verify_names_the_file_that_differs_while_the_lock_still_holds_the_set(scene: Scene) -> None:
    ami = scene.bake()
    change_report(scene, ami, b'"bytes":3,"mode":"0444"', b'"bytes":3,"mode":"0644"')
    assert "; `models/age.onnx` has mode 0644, not 0444" in found_by(scene, ami, "payload digest")
    scene.change_models({"models/other.onnx": b"other"})
    assert "age.onnx" not in found_by(scene, ami, "payload digest")


def test_verify_names_the_marker_that_is_not_the_sets(scene: Scene) -> None:
    ami = scene.bake()
    change_report(scene, ami, b'"path":"models/.model-set.json"', b'"path":"models/.model-set.jsoN"')
    assert "`models/.model-set.json` is missing" in found_by(scene, ami, "payload markers")


def test_terms_of_the_lock_reach_the_marker_and_no_digest_of_the_set(scene: Scene) -> None:
    silent = scene.lock.read()
    assert silent
    first = replace(silent.files[0], licence="CC0-1.0", permitted_use="any")
    told = model_set((first, *silent.files[1:]))
    scene.lock.write(told)
    assert told.digest == silent.digest
    assert b'"licence":"CC0-1.0","mode":"0444","path":"checkpoints' in told.marker()
    assert told.marker().count(b"permitted_use") == 1
    ami = scene.bake()
    assert verify_ami(scene.ports, scene.target, scene.amis, ami.id).failed == ()
    change_report(scene, ami, b'"licence":"CC0-1.0"', b'"licence":"MIT"')
    assert "`.model-set.json` has bytes" in found_by(scene, ami, "payload markers")


def test_verify_names_the_largest_file_of_a_payload_over_the_budget(scene: Scene) -> None:
    ami = scene.bake()
    change_report(scene, ami, b'"bytes":3,', b'"bytes":3000,')
    assert found_by(scene, ami, "payload size") == "3.0 kB, the largest is `models/age.onnx`"


def copy_of(scene: Scene, ami: AmiRecord, *, named: AmiRecord) -> AmiRecord:
    """A copy in another region with every tag of a good AMI, which says that it is a copy of `named`."""
    elsewhere = scene.ports.amis_in("eu-west-1")
    origin = {Tag.COPIED_FROM.value: f"us-west-2/{named.id}"}
    copy_id = elsewhere.copy_from("us-west-2", ami, tags={**named.tags, **origin})
    elsewhere.require_imds_v2(copy_id)
    return elsewhere.get(copy_id)


def found_of_copy(scene: Scene, copy: AmiRecord) -> str:
    """What is wrong with the report of a copy; "" when nothing is."""
    elsewhere = scene.ports.amis_in("eu-west-1")
    failed = verify_ami(scene.ports, scene.target, elsewhere, copy.id).failed
    assert {check.name for check in failed} <= {"payload evidence"}
    return "".join(check.found for check in failed)


def test_copy_passes_by_the_report_that_its_tag_names(scene: Scene) -> None:
    ami = scene.bake()
    assert found_of_copy(scene, copy_of(scene, ami, named=ami)) == ""


def test_copy_of_another_ami_is_not_proven_by_tags(scene: Scene) -> None:
    good = scene.bake()
    other = scene.amis.add(f"{good.name}-other", instance_id="i-0ther")
    copy = copy_of(scene, other, named=good)
    assert found_of_copy(scene, copy) == (
        f"its tag says that it is a copy of us-west-2/{good.id}, EC2 says of us-west-2/{other.id}"
    )


@pytest.mark.parametrize("tags", [{}, {Tag.COPIED_FROM.value: "us-west-2/ami-00000000000000001"}])
def test_ami_that_ec2_names_no_origin_of_is_not_proven_by_tags(scene: Scene, tags: dict[str, str]) -> None:
    good = scene.bake()
    registered = scene.amis.add(f"{good.name}-by-hand", tags={**good.tags, **tags})
    assert found_by(scene, registered, "payload evidence").endswith(
        "EC2 says nothing of that" if tags else f"it has no tag `{Tag.COPIED_FROM}`"
    )


@pytest.mark.parametrize(
    ("made_for", "source", "is_confirmed"),
    [("ami-0c0ff", "ami-0900d", True), ("ami-0c0ff", "ami-0bad0", False), ("ami-00733", "ami-0900d", False)],
)
def test_copy_from_before_ec2_told_its_origin_is_confirmed_by_its_snapshots(
    scene: Scene, made_for: str, source: str, *, is_confirmed: bool
) -> None:
    ami = scene.bake()
    copy = replace(ami, id=AmiId("ami-0c0ff"), tags={Tag.COPIED_FROM.value: "us-west-2/ami-0900d"})
    (snapshot,) = scene.amis.snapshots(ami.snapshot_ids)
    snapshots = [replace(snapshot, ami_id=made_for, source_ami=source)]
    assert (why_no_copy(copy, snapshots) == "") == is_confirmed
    assert why_no_copy(copy, [])


def test_ami_whose_report_was_kept_under_its_instance_only_passes(scene: Scene) -> None:
    ami = scene.bake()
    (by_digest,) = [uri for uri in scene.reports() if uri.endswith(f"/{ami.tags[Tag.EVIDENCE][7:]}.json")]
    del scene.objects.stored[by_digest]
    assert ami_rejection(verify_ami(scene.ports, scene.target, scene.amis, ami.id)) is None


def test_report_of_another_instance_proves_nothing(scene: Scene) -> None:
    ami = scene.bake()
    other = scene.amis.add(f"{ami.name}-other", instance_id="i-0ther", tags=ami.tags)
    failed = verify_ami(scene.ports, scene.target, scene.amis, other.id).failed
    assert "payload evidence" in [check.name for check in failed]


def test_state_that_ec2_has_learnt_since_is_neither_usable_nor_a_crash(scene: Scene) -> None:
    ami = scene.bake()
    scene.amis.change(ami.id, state=AmiState("hibernating"))
    assert not scene.amis.get(ami.id).is_proven


def test_bake_sets_the_tags_that_verify_requires_and_no_others(scene: Scene) -> None:
    ami = scene.bake()
    assert ami.tags.keys() - {"Name", Tag.GIT, Tag.MADE_BY, Tag.RUN_UNTIL, Tag.VERIFIED} == set(REQUIRED_TAGS)


def test_verify_of_a_foreign_ami_fails_without_a_traceback(scene: Scene) -> None:
    error = ami_rejection(verify_ami(scene.ports, scene.target, scene.amis, BASE_AMI))
    assert error is not None
    assert error.code == "ami-not-verified"
    assert any("EC2 names no instance that it was made from" in line for line in error.details)


def test_list_shows_the_projects_amis_newest_first(scene: Scene) -> None:
    first = scene.bake()
    scene.change_models({**CONTENTS, "models/age.onnx": b"new"})
    second = scene.bake()
    scene.amis.add("foreign", tags={Tag.PROJECT.value: "another"})
    assert [listed.ami.id for listed in list_amis(scene.ports, scene.target).amis] == [second.id, first.id]
    assert list_amis(scene.ports, scene.target, status=AmiStatus.CANDIDATE).amis == ()
