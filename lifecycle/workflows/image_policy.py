"""What ECR expires by itself: the policy that the configuration makes, and what it would do to the images that somebody needs."""

from dataclasses import dataclass

from lifecycle.config.target import Target
from lifecycle.domain.image_needs import deciding_manifests, needed_images
from lifecycle.domain.lifecycle_policy import (
    Expiring,
    LifecyclePolicy,
    NeededBy,
    expiry_text,
    is_same_policy,
    needed_among,
)
from lifecycle.domain.measures import counted
from lifecycle.domain.permissions import PREVIEW_POLICY
from lifecycle.domain.usage import kinds_text
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.workflows.image_world import READ_IMAGE_USES, READ_REPOSITORY, account_image_uses, read_repository
from lifecycle.workflows.uses import use_unproven

# What lies before a policy is applied: its preview, and who needs the images.
GUARD = (*PREVIEW_POLICY, *READ_REPOSITORY, *READ_IMAGE_USES)
PERMISSIONS = {"image policy": ("ecr:GetLifecyclePolicy", *GUARD)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReport:
    """The configured policy, and whether the repository has it: False for another one or none, None before there is a repository.

    `expiring` is what it would expire now, None where nobody asked; `needs` says who needs an image.
    """

    policy: LifecyclePolicy
    is_in_force: bool | None
    expiring: tuple[Expiring, ...] | None
    needs: NeededBy


def report_on_policy(ports: Ports, target: Target, *, preview: bool) -> PolicyReport:
    """The policy of the configuration beside that of the repository, and with `preview` what it would expire."""
    policy = target.lifecycle_policy
    try:
        standing = ports.image_expiry.policy()
    except CapctlError as error:
        if error.code != "repository-missing" or preview:
            raise
        return PolicyReport(policy=policy, is_in_force=None, expiring=None, needs={})
    return PolicyReport(
        policy=policy,
        is_in_force=bool(standing) and is_same_policy(standing or "", policy.text()),
        expiring=ports.image_expiry.preview(policy.text()) if preview else None,
        needs=image_needs(ports, target) if preview else {},
    )


def image_needs(ports: Ports, target: Target) -> NeededBy:
    """Who needs each image, as `image prune` knows it, but for the working tree, whose image comes back with the next push.

    Raises `Inconclusive("use-unproven")` where something could not be read.
    """
    repository = read_repository(
        ports, account_image_uses(ports, target), lambda found: deciding_manifests(found, needed_images(found).keys())
    )
    if repository.unread:
        raise use_unproven(
            repository.unread, command="image policy", what="image", so="what the policy may expire is not known"
        )
    return {digest: kinds_text(uses) for digest, uses in needed_images(repository).items()}


def require_nothing_needed_expires(ports: Ports, target: Target, policy: str) -> None:
    """Refuse a policy that would expire an image which somebody needs.

    Raises `CapctlError("lifecycle-would-expire")`, and whatever keeps the preview, or who needs what, from being read: then nothing is
    known.
    """
    expiring, needs = ports.image_expiry.preview(policy), image_needs(ports, target)
    needed = needed_among(expiring, needs)
    if needed:
        first = expiry_text(needed[0], needs)
        raise CapctlError(
            "lifecycle-would-expire",
            f"The lifecycle policy would expire {counted(len(needed), 'image')} that somebody needs, such as {first}",
            hint="Let `image.registry` in capctl.yaml expire less; `capctl image policy --preview` shows what it does",
            details=tuple(expiry_text(image, needs) for image in needed),
        )
