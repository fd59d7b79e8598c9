"""A prune of images: every proof made anew right before a deletion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from lifecycle.domain.digest import digest_of
from lifecycle.domain.image import ImageRef
from lifecycle.domain.image_retention import ImageFate
from lifecycle.domain.plan import Done
from lifecycle.domain.release import DeployedRelease, Pointer
from lifecycle.domain.release_tag import release_tag
from lifecycle.domain.repository_image import ManifestContent, RepositoryImage
from lifecycle.domain.usage import Unread, Use, kinds_text
from lifecycle.errors import CapctlError, Denied
from lifecycle.ports import Ports
from lifecycle.workflows.execute import execute
from lifecycle.workflows.list_images import list_images
from lifecycle.workflows.prune_images import ImagePruning, freed_images, plan_prune_images, unproven_images
from tests.fakes.images import REPOSITORY
from tests.fakes.ports import FakePorts
from tests.fakes.releases import make_release
from tests.fakes.repository_images import FakeRepositoryImages
from tests.fakes.runs import RUN
from tests.fakes.stack import deployed
from tests.fakes.targets import make_target

DAY_S = 86_400


class Scene:
    """A project of whose images the newest is kept by its tree; each `image` is pushed a second after the one before."""

    def __init__(self, folder: Path) -> None:
        self.ports = FakePorts()
        self.target = make_target(folder, image={"retention": {"keep_code": 1, "keep_bases": 1}})

    def image(self, name: str = "old", *tags: str, content: ManifestContent | None = None) -> RepositoryImage:
        self.ports.clock.sleep(1)
        return self.ports.repository_images.add(name, *(tags or (f"code-{name}",)), content=content)

    def tree(self) -> None:
        """Push the working tree, 100 days after everything else."""
        self.ports.clock.sleep(100 * DAY_S)
        self.ports.base_builder.build()
        self.ports.clock.sleep(1)
        self.ports.code.push()

    def plan(self, *, most: int = 10) -> ImagePruning:
        return plan_prune_images(cast("Ports", self.ports), self.target, most=most)

    def run(self, pruning: ImagePruning) -> Done:
        return execute(pruning.plan, cast("Ports", self.ports), RUN)

    def use(self, image: RepositoryImage) -> Use:
        return Use(of=image.digest, kind="job definition", name="vision:3")

    @property
    def tags(self) -> set[str]:
        return {tag for image in self.ports.repository_images.list() for tag in image.tags}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def outcomes(done: Done) -> list[str]:
    return [str(result) for _, result in done.results]


def test_image_that_nothing_needs_goes_and_the_trees_stay(scene: Scene) -> None:
    scene.image()
    scene.tree()
    assert outcomes(scene.run(scene.plan())) == ["deleted"]
    assert scene.tags == {scene.ports.base_builder.tag(), scene.ports.code.tag()}
    assert scene.plan().plan.steps == ()
    assert [entry.outcome for entry in scene.ports.journal.entries()][-1] == "deleted"


def test_use_that_appears_after_the_plan_keeps_the_image(scene: Scene) -> None:
    old = scene.image()
    scene.tree()
    scene.ports.image_users.later[2] = scene.use(old)
    assert outcomes(scene.run(scene.plan())) == ["kept: used by job definition vision:3"]
    assert scene.ports.repository_images.deletions == 0


def test_pull_and_tag_after_the_plan_keep_the_image(scene: Scene) -> None:
    pulled, tagged = scene.image("pulled"), scene.image("tagged")
    scene.tree()
    pruning = scene.plan()
    scene.ports.repository_images.pulled[pulled.digest] = scene.ports.clock.now()
    scene.ports.repository_images.add("tagged", "code-tagged", "prod")
    assert [one.split(":")[0] for one in outcomes(scene.run(pruning))] == ["kept", "kept"]
    assert {*pulled.tags, *tagged.tags} < scene.tags


def test_release_that_is_made_after_the_plan_keeps_its_image_within_the_minute_of_a_scan(scene: Scene) -> None:
    first, second = scene.image("a"), scene.image("b")
    scene.tree()
    plan = scene.plan().plan
    scans = scene.ports.image_users.scans
    execute(replace(plan, steps=plan.steps[:1]), cast("Ports", scene.ports), RUN)
    release = replace(make_release(), image=ImageRef(repository=REPOSITORY, digest=second.digest))
    scene.ports.stack.stand(deployed(release))
    done = execute(replace(plan, steps=plan.steps[1:]), cast("Ports", scene.ports), RUN)
    assert outcomes(done) == [f"kept: used by release {release.id} (candidate)"]
    assert scene.ports.image_users.scans == scans + 1
    assert scene.ports.repository_images.exists(second.digest)
    assert not scene.ports.repository_images.exists(first.digest)


def test_deploy_of_the_image_after_the_plan_keeps_it_before_anything_names_it(scene: Scene) -> None:
    old = scene.image()
    scene.tree()
    pruning, tag = scene.plan(), release_tag("0123456789ab", scene.ports.clock.now())
    scene.ports.repository_images.add("old", *old.tags, tag)
    assert "tagged for release 0123456789ab on " in outcomes(scene.run(pruning))[0]


def test_deploy_that_begins_while_the_releases_are_read_keeps_its_image(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = scene.image()
    scene.tree()
    pruning, tag = scene.plan(), release_tag("0123456789ab", scene.ports.clock.now())

    def releases() -> tuple[DeployedRelease, ...]:
        scene.ports.repository_images.add("old", *old.tags, tag)
        return ()

    monkeypatch.setattr(scene.ports.stack, "releases", releases)
    assert "tagged for release 0123456789ab on " in outcomes(scene.run(pruning))[0]


def test_image_of_the_pointers_release_that_does_not_exist_is_not_known_and_nothing_goes(scene: Scene) -> None:
    scene.image()
    scene.tree()
    scene.ports.pointers.move(
        Pointer(
            version=1,
            release_id="0123456789ab",
            previous_release_id="",
            job_queue_arn="",
            job_definition_arn="",
            moved_at="",
            moved_by="",
            reason="",
        ),
        expected_version=0,
    )
    pruning = scene.plan()
    assert pruning.plan.steps == ()
    assert [one.source for one in pruning.unread] == ["releases"]


@pytest.mark.parametrize("source", ["account", "manifests", "releases", "tree"])
def test_nothing_goes_where_a_source_cannot_be_read(scene: Scene, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.image()
    scene.tree()
    refused = Denied("permission-denied", "AWS refused it")
    if source == "account":
        scene.ports.image_users.unread.append(Unread(source="jobs", why="refused"))
    elif source == "manifests":
        scene.image("new")
        scene.ports.repository_images.unreadable = refused
    elif source == "releases":
        scene.ports.stack.unreadable = refused
    else:
        monkeypatch.setattr(scene.ports.code, "tag", lambda: (_ for _ in ()).throw(refused))
    pruning = scene.plan()
    failure = unproven_images(pruning, None)
    assert (pruning.plan.steps, {one.fate for one in pruning.verdicts}) == ((), {ImageFate.KEEP})
    assert failure is not None
    assert failure.code == "use-unproven"


def test_scan_that_fails_before_a_deletion_ends_in_a_failure_and_is_not_tried_again(scene: Scene) -> None:
    scene.image("a")
    scene.image("b")
    scene.tree()
    pruning, before = scene.plan(), scene.ports.image_users.scans
    scene.ports.image_users.unread.append(Unread(source="jobs", why="throttled"))
    done = scene.run(pruning)
    assert outcomes(done) == ["kept: not known whether it is used: jobs could not be read"] * 2
    assert scene.ports.image_users.scans == before + 1
    failure = unproven_images(pruning, done)
    assert failure is not None
    assert failure.details == ("jobs: throttled",)


@pytest.mark.parametrize("missing", ["requirements-missing", "base-missing", "repository-missing"])
def test_tree_without_an_image_keeps_none_and_says_so(
    scene: Scene, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.image()
    scene.tree()

    def fail() -> None:
        raise CapctlError(missing, "There is none")

    monkeypatch.setattr(scene.ports.base_builder, "required", fail)
    assert outcomes(scene.run(scene.plan())) == ["deleted"]
    assert any("kept only by the other rules: There is none" in line for line in scene.ports.ui.lines)


@pytest.mark.parametrize(
    ("code", "source"), [("registry-unreachable", "the registry"), ("code-unreadable", "the working tree")]
)
def test_what_could_not_be_read_of_the_tree_is_named(
    scene: Scene, code: str, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.image()
    scene.tree()

    def fail() -> None:
        raise CapctlError(code, "It does not answer")

    monkeypatch.setattr(scene.ports.base_builder, "required", fail)
    assert scene.plan().unread == (Unread(source=source, why="It does not answer"),)


def test_image_that_ecr_refuses_to_delete_is_told_and_the_others_go(scene: Scene) -> None:
    first = scene.image("a")
    scene.image("b")
    scene.tree()
    scene.ports.repository_images.refused[first.digest] = "`ImageReferencedByManifestList`, an index names it"
    assert outcomes(scene.run(scene.plan())) == [
        "kept: ECR refused it: `ImageReferencedByManifestList`, an index names it",
        "deleted",
    ]


def test_image_that_another_run_deleted_is_nothing_to_do(scene: Scene) -> None:
    old = scene.image()
    scene.tree()
    pruning = scene.plan()
    scene.ports.repository_images.delete([old.digest])
    assert outcomes(scene.run(pruning)) == ["kept: it is gone already"]


def test_image_that_stays_after_its_deletion_is_a_failure(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.image()
    scene.tree()
    monkeypatch.setattr(FakeRepositoryImages, "delete", lambda *_: {})
    with pytest.raises(CapctlError) as failed:
        scene.run(scene.plan())
    assert failed.value.code == "image-not-removed"


def test_prune_of_a_machine_that_knows_no_manifest_deletes_what_its_plan_says(scene: Scene) -> None:
    """A look at a manifest is a pull: what may go is not looked at."""
    olds = [scene.image("old"), scene.image("older")]
    scene.tree()
    young = scene.image("young")
    pruning = scene.plan()
    assert [one.image.digest for one in pruning.verdicts if one.fate is ImageFate.DELETE] == [
        one.digest for one in reversed(olds)
    ]
    assert scene.ports.repository_images.looks == [young.digest]
    assert outcomes(scene.run(pruning)) == ["deleted", "deleted"]


def test_cache_that_keeps_nothing_is_not_needed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.image("old")
    scene.tree()
    scene.image("young")
    monkeypatch.setattr(scene.ports.repository_images, "known", lambda _: {})
    assert outcomes(scene.run(scene.plan())) == ["deleted"]


def test_nothing_is_looked_at_while_nothing_could_go(scene: Scene) -> None:
    """Else a machine without a cache that lasts would look every day, and nothing would ever grow old."""
    scene.tree()
    scene.image("young")
    scene.plan()
    assert scene.ports.repository_images.looks == []


@pytest.mark.parametrize("unread", [(), (Unread(source="jobs", why="throttled"),)])
def test_list_looks_at_what_stays_and_not_at_what_may_go(scene: Scene, unread: tuple[Unread, ...]) -> None:
    scene.image()
    scene.tree()
    young = scene.image("young")
    scene.ports.image_users.unread.extend(unread)
    list_images(cast("Ports", scene.ports), scene.target, every=True)
    assert scene.ports.repository_images.looks == [young.digest]


def test_base_stays_by_the_manifest_of_code_that_stays(scene: Scene) -> None:
    base, other = scene.image("below", "base-below"), scene.image("other", "base-other")
    scene.tree()
    young = scene.image("young", content=ManifestContent(layers=(base.digest,), base=base.digest))
    pruning = scene.plan()
    assert scene.ports.repository_images.looks == [young.digest, base.digest]
    assert outcomes(scene.run(pruning)) == ["deleted"]
    assert scene.ports.repository_images.exists(base.digest)
    assert not scene.ports.repository_images.exists(other.digest)


def test_base_of_code_that_is_not_looked_at_goes_after_it(scene: Scene) -> None:
    base = scene.image("below", "base-below")
    code = scene.image("old", content=ManifestContent(layers=(base.digest,), base=base.digest))
    scene.tree()
    assert outcomes(scene.run(scene.plan(most=1))) == ["deleted"]
    assert scene.ports.repository_images.exists(base.digest)
    assert not scene.ports.repository_images.exists(code.digest)


def test_base_is_looked_at_where_only_layers_tell_who_stands_on_it(scene: Scene) -> None:
    """And stays for that, this time."""
    below = digest_of(b"below")
    base = scene.image("below", "base-below", content=ManifestContent(layers=(below,), blobs={below: 1}))
    scene.tree()
    scene.image("young", content=ManifestContent(layers=(below, digest_of(b"code"))))
    verdict = next(one for one in scene.plan().verdicts if one.image.digest == base.digest)
    assert "code-young" in {use.name for use in verdict.uses}
    assert scene.plan().plan.steps == ()


def test_signature_without_a_tag_is_looked_at_and_stays_with_what_it_describes(scene: Scene) -> None:
    scene.ports.clock.sleep(1)
    scene.tree()
    code = scene.image("young")
    signature = scene.ports.repository_images.add("signature", content=ManifestContent(subject=code.digest))
    bare = scene.ports.repository_images.add("bare")
    scene.ports.clock.sleep(8 * DAY_S)
    assert {signature.digest, bare.digest} <= {one.image.digest for one in scene.plan().verdicts}
    assert scene.plan().plan.steps == ()
    scene.ports.clock.sleep(31 * DAY_S)
    assert outcomes(scene.run(scene.plan())) == ["deleted"]
    assert [scene.ports.repository_images.exists(one.digest) for one in (signature, bare)] == [True, False]


def test_pull_by_anybody_between_the_look_and_the_deletion_keeps_the_image(scene: Scene) -> None:
    old = scene.image()
    scene.tree()
    scene.image("young")
    pruning = scene.plan()
    scene.ports.repository_images.pulled[old.digest] = scene.ports.clock.now()
    assert outcomes(scene.run(pruning))[0].startswith("kept: pulled at ")


def test_image_whose_tags_grew_since_the_plan_stays(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    old = scene.image()
    scene.tree()
    pruning = scene.plan()
    tagged = replace(old, tags=(*old.tags, "code-ffffffffffffffff"))
    held = [tagged if one.digest == old.digest else one for one in scene.ports.repository_images.list()]
    monkeypatch.setattr(scene.ports.repository_images, "list", lambda: tuple(held))
    assert outcomes(scene.run(pruning)) == ["kept: tagged code-ffffffffffffffff meanwhile"]


def test_only_what_went_counts_as_freed(scene: Scene) -> None:
    first, _ = scene.image("a"), scene.image("b")
    scene.tree()
    scene.ports.repository_images.refused[first.digest] = "why"
    pruning = scene.plan()
    assert freed_images(pruning, None).bytes == 2_000_000
    assert freed_images(pruning, scene.run(pruning)).bytes == 1_000_000


def test_limit_leaves_the_rest_to_later_runs(scene: Scene) -> None:
    for name in "abc":
        scene.image(name)
    scene.tree()
    pruning = scene.plan(most=2)
    assert [one.delay is None for one in pruning.verdicts if "nothing needs it" in one.reasons] == [False, True, True]
    assert "1 of which a later run takes" in pruning.plan.because
    assert outcomes(scene.run(pruning)) == ["deleted", "deleted"]
    assert outcomes(scene.run(scene.plan(most=2))) == ["deleted"]


def test_run_that_was_killed_is_finished_by_the_next(scene: Scene) -> None:
    scene.image("a")
    scene.image("b")
    scene.tree()
    plan = scene.plan().plan
    plan.steps[0].apply()
    assert outcomes(scene.run(scene.plan())) == ["deleted"]


def test_list_and_prune_tell_the_same_needs(scene: Scene) -> None:
    """Those of the working tree too, and those of images that only their age keeps."""
    base = scene.image("base", "base-old")
    scene.tree()
    scene.image("young", content=ManifestContent(layers=(), base=base.digest))
    verdicts = scene.plan().verdicts
    listed = list_images(cast("Ports", scene.ports), scene.target, every=True).images
    assert [(one.image.digest, one.uses) for one in listed] == [(one.image.digest, one.uses) for one in verdicts]
    assert {phrase for one in listed for phrase in kinds_text(one.uses)} >= {
        "this working tree (its code)",
        "this working tree (its base)",
        "code image code-young",
    }


def test_list_tells_what_needs_an_image_and_leaves_out_what_is_not_capctls(scene: Scene) -> None:
    old = scene.image()
    scene.image("other", "v1")
    scene.tree()
    scene.ports.image_users.uses.append(scene.use(old))
    found = list_images(cast("Ports", scene.ports), scene.target)
    assert [one.image.tags[0] for one in found.images] == [
        scene.ports.code.tag(),
        scene.ports.base_builder.tag(),
        "code-old",
    ]
    assert (found.others, [use.name for use in found.images[-1].uses]) == (1, ["vision:3"])
    assert len(list_images(cast("Ports", scene.ports), scene.target, every=True).images) == 4
