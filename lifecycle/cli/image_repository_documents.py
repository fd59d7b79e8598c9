"""The JSON documents of `capctl image ls`, `image prune` and `image policy`, under the same rules as those of `documents.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cli.ami_documents import unread
from lifecycle.cli.documents import Document, utc

if TYPE_CHECKING:
    from datetime import datetime

    from lifecycle.domain.image_retention import Freed
    from lifecycle.domain.plan import Done
    from lifecycle.domain.repository_image import ImageKind, RepositoryImage
    from lifecycle.workflows.image_policy import PolicyReport
    from lifecycle.workflows.list_images import ImageList
    from lifecycle.workflows.prune_images import ImagePruning


def images(found: ImageList) -> Document:
    """Images, newest first; a `kind` is `code`, `base`, `index`, `attached` (a signature or the like) or `other`.

    `bytes` are compressed, and null where ECR does not tell. `frees_bytes` and `monthly_usd` are of the layers that no other image has,
    upper bounds where the manifest does not tell. `pulled_at` is known to the day, and null without a pull. Where something is `unread`
    there may be more `uses`. `others` counts the images that only `--all` lists.
    """
    return {
        "images": [
            {
                **_image(one.image, one.kind),
                **_freed(one.freed),
                "uses": [{"kind": use.kind, "name": use.name, "detail": use.detail} for use in one.uses],
            }
            for one in found.images
        ],
        "others": found.others,
        "monthly_usd": round(found.cost.usd, 4),
        "unread": unread(found.unread),
    }


def image_prune(pruning: ImagePruning, done: Done | None, *, now: datetime) -> Document:
    """What becomes of each image, newest first; a `verdict` is `keep` or `delete`, and `outcome` what this run did, null where it did
    nothing: `deleted`, or why an image was kept after all. `frees_bytes` and `monthly_usd` of an image are of the layers that no image has
    which stays, upper bounds where a manifest was not read; those at the end are of all that went, or without `--apply` would go. `unread`
    are the sources of uses that could not be read: then all stay.
    """
    from lifecycle.workflows.prune_images import DELETED, freed_images, image_outcomes

    outcomes = image_outcomes(done)
    return {
        "changed": DELETED in outcomes.values(),
        "images": [
            {
                **_image(one.image, one.kind),
                "age_days": None if (age := one.image.age(now)) is None else age.days,
                "verdict": one.fate,
                "reasons": list(one.reasons),
                **_freed(one.freed),
                "outcome": outcomes.get(one.image.digest),
            }
            for one in pruning.verdicts
        ],
        **_freed(freed_images(pruning, done)),
        "unread": unread(pruning.unread),
    }


def image_policy(report: PolicyReport) -> Document:
    """What ECR removes by itself. `policy` is the document that ECR takes, `in_force` whether the repository has it.

    `in_force` is `null` before there is a repository, `expiring` without `--preview`.
    """
    return {
        "policy": report.policy.document(),
        "rules": [
            {"priority": rule.priority, "selects": rule.subject, "expires": rule.text} for rule in report.policy.rules
        ],
        "in_force": report.is_in_force,
        "expiring": None
        if report.expiring is None
        else [
            {
                "digest": image.digest,
                "tags": list(image.tags),
                "pushed": utc(image.pushed_at.isoformat(timespec="seconds")),
                "rule": image.rule,
                "needed_by": list(report.needs.get(image.digest, ())),
            }
            for image in report.expiring
        ],
    }


def _image(image: RepositoryImage, kind: ImageKind) -> Document:
    return {
        "digest": image.digest,
        "kind": kind,
        "tags": list(image.tags),
        "pushed_at": utc(image.pushed_at.isoformat()) if image.pushed_at else None,
        "pulled_at": utc(image.pulled_at.isoformat()) if image.pulled_at else None,
        "bytes": image.size_bytes,
        "media_type": image.media_type or None,
    }


def _freed(freed: Freed) -> Document:
    return {
        "frees_bytes": freed.bytes,
        "monthly_usd": round(freed.cost.usd, 4),
        "is_upper_bound": freed.is_upper_bound,
    }
