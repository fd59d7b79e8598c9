"""Which images of a repository are needed, and by what: a finding, and nothing that is asked or changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lifecycle.domain.digest import Digest
from lifecycle.domain.repository_image import (
    NOTHING_KNOWN,
    ImageKind,
    ManifestContent,
    RepositoryImage,
    kind_of,
    stands_on,
    subject_of,
)
from lifecycle.domain.usage import Unread, Use, UseReport

Needs = dict[Digest, tuple[Use, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    """The image `by` needs the image `of`; with `goes_first` it has to be gone before that one can go."""

    by: Digest
    of: Digest
    use: Use
    goes_first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """All images of a repository, newest first, and what the manifests name that were read. `uses` name digests and tags, also such as the
    repository does not have; where something is `unread` there may be more."""

    images: tuple[RepositoryImage, ...]
    contents: Mapping[Digest, ManifestContent]
    report: UseReport

    @property
    def unread(self) -> tuple[Unread, ...]:
        """What could not be read: then no image is known to be unneeded."""
        return self.report.unread

    def content(self, image: RepositoryImage) -> ManifestContent:
        """What the image's manifest names; nothing where it was not read."""
        return self.contents.get(image.digest, NOTHING_KNOWN)

    def kind(self, image: RepositoryImage) -> ImageKind:
        """What the image is to capctl."""
        return kind_of(image, self.content(image))


def newest_first(images: Iterable[RepositoryImage]) -> tuple[RepositoryImage, ...]:
    """By their push; those of which it is not told come last."""
    told = sorted(images, key=lambda one: one.digest)
    return tuple(sorted(told, key=lambda one: -one.pushed_at.timestamp() if one.pushed_at else 1.0))


def needed_images(repository: Repository) -> Needs:
    """What needs each image that anything needs: releases, job definitions and all else that names its digest or one of its tags, and
    other needed images, as `needed_by_images` says.

    Says nothing of age. Where `repository.unread` is not empty, an image that is not among them may be needed all the same.
    """
    direct = uses_by_digest(repository)
    return merged(direct, needed_by_images(repository, direct.keys()))


def uses_by_digest(repository: Repository) -> Needs:
    """What names each image, by its digest or by a tag that it has now."""
    tagged = {tag: image.digest for image in repository.images for tag in image.tags}
    there = {image.digest for image in repository.images}
    found: dict[Digest, list[Use]] = {}
    for use in repository.report.uses:
        digest = tagged.get(use.of, Digest(use.of))
        if digest in there:
            found.setdefault(digest, []).append(use)
    return {digest: tuple(dict.fromkeys(uses)) for digest, uses in found.items()}


def needed_by_images(repository: Repository, kept: Collection[Digest]) -> Needs:
    """What the images `kept` need, and what those need in turn: the base that one stands on, the images that an index names and the
    indexes that name an image, what is attached to an image, such as its signature, and what an attachment describes."""
    of: dict[Digest, list[_Need]] = {}
    for need in _needs(repository):
        of.setdefault(need.by, []).append(need)
    needs: dict[Digest, list[Use]] = {}
    waiting, seen = list(dict.fromkeys(kept)), set(kept)
    while waiting:
        for need in of.get(waiting.pop(), ()):
            needs.setdefault(need.of, []).append(need.use)
            if need.of not in seen:
                seen.add(need.of)
                waiting.append(need.of)
    return {digest: tuple(dict.fromkeys(uses)) for digest, uses in needs.items()}


def removal_order(repository: Repository, digests: Collection[Digest]) -> list[Digest]:
    """`digests` in an order in which they can go, and any number of them from the beginning: what names, describes or stands on another
    image before that one, and else the oldest first. Where code was not looked at, all bases come last: it may stand on any."""
    oldest_first = [image for image in reversed(repository.images) if image.digest in digests]
    if any(image.digest not in repository.contents for image in oldest_first):
        oldest_first.sort(key=lambda image: repository.kind(image) is ImageKind.BASE)
    before: dict[Digest, list[Digest]] = {}
    for need in _needs(repository):
        if need.goes_first:
            before.setdefault(need.of, []).append(need.by)
    ordered: dict[Digest, None] = {}

    def place(digest: Digest, asking: frozenset[Digest]) -> None:
        for one in before.get(digest, ()):
            if one in digests and one not in ordered and one not in asking:
                place(one, asking | {digest})
        ordered.setdefault(digest)

    for image in oldest_first:
        place(image.digest, frozenset())
    return list(ordered)


def deciding_manifests(repository: Repository, kept: Collection[Digest]) -> list[RepositoryImage]:
    """The images whose manifest was not read, and may show that one which is not among `kept` is needed all the same.

    A look is a pull, so one that may go is not looked at to judge it: of code and bases of capctl's it decides nothing but what they need
    themselves. A base is an exception where an image that stays does not say what it stands on; then the layers have to tell.
    """
    unread = [image for image in repository.images if image.digest not in repository.contents]
    is_by_layers = any(
        (content := repository.content(image)).layers and not content.base
        for image in repository.images
        if image.digest in kept and repository.kind(image) is not ImageKind.BASE
    )
    return [
        image
        for image in unread
        if image.digest in kept
        or not image.is_told_by_tag
        or (is_by_layers and repository.kind(image) is ImageKind.BASE)
    ]


def merged(*needs: Needs) -> Needs:
    """All uses of each image."""
    found: Needs = {}
    for each in needs:
        for digest, uses in each.items():
            found[digest] = (*found.get(digest, ()), *uses)
    return found


def _needs(repository: Repository) -> Iterator[_Need]:
    """Each image that needs another one."""
    there = {image.digest: image for image in repository.images}
    bases = [
        (image, repository.content(image)) for image in repository.images if repository.kind(image) is ImageKind.BASE
    ]
    for image in repository.images:
        content = repository.content(image)
        for base in _bases(content, bases, there):
            if base.digest != image.digest:
                yield _need(image, base, f"{repository.kind(image)} image")
        for child in (there[one] for one in content.children if one in there):
            yield _need(image, child, "index")
            # Who asks for the image by the index needs that, too.
            yield _need(child, image, "image", detail="which it names", goes_first=False)
        subject = subject_of(image, content)
        if subject in there and subject != image.digest:
            # It would be left without what it describes, and ECR would delete it.
            yield _need(image, there[subject], "attachment")
            yield _need(there[subject], image, "image", detail="which it describes", goes_first=False)


def _need(by: RepositoryImage, of: RepositoryImage, kind: str, *, detail: str = "", goes_first: bool = True) -> _Need:
    use = Use(of=of.digest, kind=kind, name=str(by), detail=detail)
    return _Need(by=by.digest, of=of.digest, use=use, goes_first=goes_first)


def _bases(
    content: ManifestContent,
    bases: Sequence[tuple[RepositoryImage, ManifestContent]],
    there: Mapping[Digest, RepositoryImage],
) -> Iterator[RepositoryImage]:
    if content.base:
        if content.base in there:
            yield there[content.base]
        return
    yield from (image for image, below in bases if stands_on(content, image, below))
