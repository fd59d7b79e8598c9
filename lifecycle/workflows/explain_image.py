"""`image explain`: what an image costs and why."""

from lifecycle.config.target import Target
from lifecycle.domain.image_explanation import ExplainedImage, explained
from lifecycle.domain.permissions import FIND_IMAGES
from lifecycle.ports import Ports
from lifecycle.workflows.lookups import image_of, read_index

PERMISSIONS = {"image explain": FIND_IMAGES}


def explain_image(ports: Ports, target: Target, image: str | None, *, top: int, depth: int | None) -> ExplainedImage:
    """Read an image from the registry, without an engine, and tell what each part of it costs.

    `image` is as `lookups.image_of` takes it. Raises `CapctlError("image-missing" | "manifest-unsupported")`.
    """
    ref = image_of(ports, target, image)
    return explained(ref, read_index(ports, ref), top=top, depth=depth)
