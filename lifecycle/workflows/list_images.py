"""`image ls`: what the repository holds, what it costs and what needs it."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from lifecycle.config.target import Target
from lifecycle.domain.cost import Cost
from lifecycle.domain.image_needs import Repository, deciding_manifests
from lifecycle.domain.image_retention import Freed, freed_by, freed_by_each, judge_images, staying
from lifecycle.domain.repository_image import ImageKind, RepositoryImage
from lifecycle.domain.usage import Unread, Use, UseReport
from lifecycle.ports import Ports
from lifecycle.workflows.image_world import READ_IMAGE_WORLD, image_retention, read_account, read_repository

PERMISSIONS = {"image ls": READ_IMAGE_WORLD}

_OURS = {ImageKind.CODE, ImageKind.BASE}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedImage:
    """An image, what needs it, and what would be stored no longer if it alone were gone."""

    image: RepositoryImage
    kind: ImageKind
    uses: tuple[Use, ...]
    freed: Freed


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageList:
    """Images as they were `at` that moment, newest first; where something is `unread` they may have more uses. `others` counts those
    that are left out, and `cost` is of the whole repository, per month."""

    images: tuple[ListedImage, ...]
    others: int
    cost: Cost
    unread: tuple[Unread, ...]
    at: datetime


def list_images(ports: Ports, target: Target, *, every: bool = False) -> ImageList:
    """The code and base images with a tag, and with `every` all others too; what needs them is what `image prune` says.

    Raises `CapctlError("repository-missing")`.
    """
    rules = image_retention(target, most=0)

    def deciding(found: Repository) -> Collection[RepositoryImage]:
        # Where a source cannot be read every image stays, which is no reason to look at those that may go another day.
        read = replace(found, report=UseReport(uses=found.report.uses))
        return deciding_manifests(read, staying(judge_images(read, rules, ports.clock.now())))

    repository = read_repository(ports, read_account(ports, target).report, deciding)
    now = ports.clock.now()
    freed = freed_by_each(repository)
    listed = tuple(
        ListedImage(image=one.image, kind=one.kind, uses=one.uses, freed=freed[one.image.digest])
        for one in judge_images(repository, rules, now)
        if every or (one.image.tags and one.kind in _OURS)
    )
    return ImageList(
        images=listed,
        others=len(repository.images) - len(listed),
        cost=freed_by(repository, {image.digest for image in repository.images}).cost,
        unread=repository.unread,
        at=now,
    )
