"""From which source an image of the working tree is, told to who makes one."""

from lifecycle.domain.checkout import Checkout
from lifecycle.ports import Ports


def told_source(ports: Ports) -> Checkout:
    """The source; warns where no commit has it, for then nobody finds it again by the image, and of files that the image lacks."""
    found = ports.code.checkout()
    for warning in found.warnings:
        ports.ui.warn(warning)
    return found
