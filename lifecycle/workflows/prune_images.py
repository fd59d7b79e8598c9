"""`image prune`: which images stay and why, and the deletion of those that nothing needs."""

from dataclasses import dataclass

from lifecycle.config.target import Target
from lifecycle.domain.digest import Digest
from lifecycle.domain.image_needs import Repository, removal_order
from lifecycle.domain.image_retention import Freed, ImageFate, ImageVerdict, freed_by, judge_images
from lifecycle.domain.plan import Done, Plan
from lifecycle.domain.repository_image import RepositoryImage
from lifecycle.domain.retention import Delay
from lifecycle.domain.usage import Unread
from lifecycle.errors import CapctlError, Inconclusive
from lifecycle.ports import Ports
from lifecycle.workflows.image_world import (
    READ_IMAGE_WORLD,
    ImageScan,
    deciding_removal,
    image_retention,
    read_account,
    read_repository,
)
from lifecycle.workflows.uses import Kept, use_unproven

DELETED = "deleted"
PERMISSIONS = {"image prune": READ_IMAGE_WORLD}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePruning:
    """The verdicts on the repository's images, newest first; `plan` carries them out."""

    repository: Repository

    verdicts: tuple[ImageVerdict, ...]
    unread: tuple[Unread, ...]
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteImage:
    """Delete an image that nothing needs, with its tags."""

    scan: ImageScan
    image: RepositoryImage
    permissions: tuple[str, ...] = (*READ_IMAGE_WORLD, "ecr:BatchDeleteImage")

    def describe(self) -> str:
        named = f" ({', '.join(self.image.tags)})" if self.image.tags else ""
        return f"delete {self.image.digest}{named}, which nothing needs"

    def apply(self) -> str | Kept:
        if kept := _kept(self.scan, self.image):
            return kept
        failed = self.scan.ports.repository_images.delete([self.image.digest])
        # Such as an index that names it, and was pushed this moment.
        return Kept(why=f"ECR refused it: {failed[self.image.digest]}") if failed else DELETED

    def verify(self, result: str | Kept) -> None:
        if not isinstance(result, Kept) and self.scan.ports.repository_images.exists(self.image.digest):
            raise CapctlError(
                "image-not-removed",
                f"Image `{self.image.digest}` is still there after it was deleted",
                hint="Run the same command again",
                may_pass=True,
            )


def plan_prune_images(ports: Ports, target: Target, *, most: int) -> ImagePruning:
    """Judge the repository's images; at most `most` go in one run.

    Where a source of uses could not be read every image is in use, and the plan is empty. Raises `CapctlError("repository-missing")`.
    """
    account = read_account(ports, target)
    if account.no_tree:
        ports.ui.warn(f"The images of the working tree are kept only by the other rules: {account.no_tree}")
    repository = read_repository(ports, account.report, deciding_removal(ports, target))
    verdicts = judge_images(repository, image_retention(target, most=most), ports.clock.now())
    going = {one.image.digest for one in verdicts if one.fate is ImageFate.DELETE}
    images, scan = {one.digest: one for one in repository.images}, ImageScan(ports, target)
    return ImagePruning(
        repository=repository,
        verdicts=verdicts,
        unread=repository.unread,
        plan=Plan(
            title=f"prune the images of {target.repository_name}",
            because=_because(verdicts, repository.unread),
            steps=tuple(DeleteImage(scan=scan, image=images[one]) for one in removal_order(repository, going)),
        ),
    )


def freed_images(pruning: ImagePruning, done: Done | None) -> Freed:
    """What is stored no longer after a run, and before one what would not be."""
    if done is None:
        gone = {one.image.digest for one in pruning.verdicts if one.fate is ImageFate.DELETE}
    else:
        gone = {Digest(digest) for digest, outcome in image_outcomes(done).items() if outcome == DELETED}
    return freed_by(pruning.repository, gone)


def unproven_images(pruning: ImagePruning, done: Done | None) -> Inconclusive | None:
    """The failure of a prune that could not read everything, before the plan or while it was carried out; None when it could."""
    if pruning.unread:
        return use_unproven(pruning.unread, command="image prune", so="none goes", what="image")
    kept = [result for _, result in done.results if isinstance(result, Kept)] if done else []
    unread = tuple(dict.fromkeys(one for each in kept for one in each.unread))
    so = "not all went that should have gone"
    return use_unproven(unread, command="image prune", so=so, what="image") if unread else None


def image_outcomes(done: Done | None) -> dict[str, str]:
    """What a prune did to each image, by digest; nothing when it was not carried out."""
    results = done.results if done else ()
    return {step.image.digest: str(result) for step, result in results if isinstance(step, DeleteImage)}


def _kept(scan: ImageScan, image: RepositoryImage) -> Kept | None:
    """Why the image stays, or None when it may go as it could when the plan was made."""
    repository = scan.repository()
    rules = image_retention(scan.target, most=len(repository.images))
    for verdict in judge_images(repository, rules, scan.ports.clock.now()):
        if verdict.image.digest == image.digest:
            why = "; ".join(verdict.reasons)
            if verdict.fate is ImageFate.KEEP:
                return Kept(why=why, unread=repository.unread)
            added = sorted({*verdict.image.tags} - {*image.tags})
            return Kept(why=f"tagged {', '.join(added)} meanwhile") if added else None
    return Kept(why="it is gone already")


def _because(verdicts: tuple[ImageVerdict, ...], unread: tuple[Unread, ...]) -> str:
    if unread:
        return f"not everything that may use an image could be read: {'; '.join(map(str, unread))}"
    beyond = sum(one.delay is Delay.LIMIT for one in verdicts)
    if unneeded := beyond + sum(one.fate is ImageFate.DELETE for one in verdicts):
        things = "1 image is" if unneeded == 1 else f"{unneeded} images are"
        later = f", {beyond} of which a later run takes, since `--max-deletions` is reached" if beyond else ""
        return f"{things} not needed{later}"
    return "every image is needed, or not old enough"
