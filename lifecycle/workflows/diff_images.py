"""`image diff`: what one image holds and another does not."""

from lifecycle.config.target import Target
from lifecycle.domain.image_difference import ComparedImages, compared
from lifecycle.domain.permissions import FIND_IMAGES
from lifecycle.ports import Ports
from lifecycle.workflows.lookups import image_of, read_index

PERMISSIONS = {"image diff": FIND_IMAGES}


def diff_images(ports: Ports, target: Target, before: str, after: str | None) -> ComparedImages:
    """What is not the same in `after`, or, without it, in the pushed image of the working tree's code.

    Both are as `lookups.image_of` takes them. Raises `CapctlError("image-missing" | "manifest-unsupported")`.
    """
    one, other = image_of(ports, target, before), image_of(ports, target, after)
    return compared((one, read_index(ports, one)), (other, read_index(ports, other)))
