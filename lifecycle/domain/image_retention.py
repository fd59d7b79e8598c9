"""Which images of a repository stay and which go, and why: a decision, and nothing that is asked or changed.

An image that is deleted does not come back: a code image can be pushed again from its tree, a base image has to be built again. So an
image goes only if nothing needs it, it is old, nobody pulled it lately, and it is none of the newest.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from lifecycle.domain.cost import Cost, monthly_usd_of_images
from lifecycle.domain.digest import Digest
from lifecycle.domain.image_needs import Repository, merged, needed_by_images, removal_order, uses_by_digest
from lifecycle.domain.measures import counted, first_few
from lifecycle.domain.moments import moment_text
from lifecycle.domain.release_tag import DEPLOY_LASTS
from lifecycle.domain.repository_image import ImageKind, RepositoryImage
from lifecycle.domain.retention import BEYOND, Delay
from lifecycle.domain.usage import Use, unread_text, uses_text

_TAGS = 3  # tags that are told


class ImageFate(StrEnum):
    """What becomes of an image."""

    KEEP = "keep"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRetention:
    """`min_age` counts from the push, the last pull and the last release, `untagged_age` for what has no tag; `most` go in one run."""

    keep_code: int
    keep_bases: int
    min_age: timedelta
    untagged_age: timedelta
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Freed:
    """What is stored no longer; `is_upper_bound`: a manifest does not tell its layers, so the whole image counts."""

    bytes: int
    is_upper_bound: bool = False

    @property
    def cost(self) -> Cost:
        """What that costs per month."""
        return Cost(usd=monthly_usd_of_images(self.bytes), is_upper_bound=self.is_upper_bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageVerdict:
    """What becomes of an image, and every reason; `uses` are what needs it, which the reasons tell shorter. `freed` are the layers that no
    image has which stays; `delay` is why one stays that is not needed."""

    image: RepositoryImage
    kind: ImageKind
    fate: ImageFate
    reasons: tuple[str, ...]
    uses: tuple[Use, ...]
    freed: Freed
    delay: Delay | None = None


def judge_images(repository: Repository, rules: ImageRetention, now: datetime) -> tuple[ImageVerdict, ...]:
    """The verdict on each image, newest first. Of those that go, the first `rules.most` in the order of removal go now."""
    newest = _newest(repository, rules)
    own = {
        image.digest: (*filter(None, (newest.get(image.digest),)), *_of_the_image(image, rules, now))
        for image in repository.images
    }
    uses, unread = uses_by_digest(repository), unread_text(repository.unread)
    kept = [digest for digest, reasons in own.items() if reasons or unread or digest in uses]
    needs = merged(uses, needed_by_images(repository, kept))
    why = {digest: (*unread, *uses_text(needs.get(digest, ())), *reasons) for digest, reasons in own.items()}
    going = removal_order(repository, {digest for digest, reasons in why.items() if not reasons})
    spared, freed = set(going[rules.most :]), freed_by_each(repository, going)
    return tuple(
        ImageVerdict(
            image=image,
            kind=repository.kind(image),
            fate=ImageFate.KEEP if why[image.digest] or image.digest in spared else ImageFate.DELETE,
            reasons=why[image.digest] or ("nothing needs it", *((BEYOND,) if image.digest in spared else ())),
            uses=needs.get(image.digest, ()),
            freed=freed[image.digest],
            delay=Delay.LIMIT if image.digest in spared else None,
        )
        for image in repository.images
    )


def staying(verdicts: Iterable[ImageVerdict]) -> set[Digest]:
    """The images that stay for a reason of their own, and not because a later run takes them."""
    return {one.image.digest for one in verdicts if one.fate is ImageFate.KEEP and not one.delay}


def freed_by(repository: Repository, gone: Collection[Digest]) -> Freed:
    """What is stored no longer once all images `gone` are; what several of them have counts once."""
    going = [image for image in repository.images if image.digest in gone]
    staying = {
        blob for image in repository.images if image.digest not in gone for blob in repository.content(image).blobs
    }
    blobs = {blob: size for image in going for blob, size in repository.content(image).blobs.items()}
    return _freed(
        sum(size for blob, size in blobs.items() if blob not in staying),
        [image for image in going if not repository.content(image).is_told],
    )


def freed_by_each(repository: Repository, going: Collection[Digest] = ()) -> dict[Digest, Freed]:
    """What is stored no longer once the image is gone, and all that are `going`; blobs that several of those have count for each."""
    having: Counter[Digest] = Counter()
    for image in repository.images:
        if image.digest not in going:
            having.update(repository.content(image).blobs.keys())
    found = {}
    for image in repository.images:
        content, own = repository.content(image), int(image.digest not in going)
        freed = sum(size for blob, size in content.blobs.items() if having[blob] == own)
        found[image.digest] = _freed(freed, [] if content.is_told else [image])
    return found


def _freed(told: int, silent: Sequence[RepositoryImage]) -> Freed:
    unknown = sum(image.size_bytes or 0 for image in silent)
    return Freed(bytes=told + unknown, is_upper_bound=unknown > 0)


def _newest(repository: Repository, rules: ImageRetention) -> dict[Digest, str]:
    """The images that stay because they are among the newest, and why."""
    found: dict[Digest, str] = {}
    for kind, keep in ((ImageKind.CODE, rules.keep_code), (ImageKind.BASE, rules.keep_bases)):
        tagged = [image for image in repository.images if image.tags and repository.kind(image) is kind]
        # Of those that were pushed in one moment none is newer, so all of them stay.
        last = {image.pushed_at for image in tagged[max(keep - 1, 0) : keep]}
        newest = [*tagged[:keep], *(image for image in tagged[keep:] if image.pushed_at in last)]
        found |= {image.digest: f"among the newest {keep} {kind} images" for image in newest}
    return found


def _of_the_image(image: RepositoryImage, rules: ImageRetention, now: datetime) -> Iterator[str]:
    """Why the image stays by what ECR says of it."""
    if foreign := image.foreign_tags:
        yield f"somebody tagged it {first_few(foreign, most=_TAGS)}"
    # Whatever its release, which may be another project's, still needs is told by job definitions and by releases.
    if (last := image.last_released) and last.age(now) < max(rules.min_age, DEPLOY_LASTS):
        yield f"tagged for release {last.release_id} on {last.day:%Y-%m-%d}"
    age, least = image.age(now), rules.min_age if image.tags else rules.untagged_age
    if age is None:
        yield "its age is not known"
    elif age < least:
        yield f"newer than {counted(least.days, 'day')}{'' if image.tags else ', without a tag'}"
    if image.pulled_at and now - image.pulled_at < rules.min_age:
        yield f"pulled at {moment_text(image.pulled_at)}"
