"""Check what an image in the registry holds and costs."""

from lifecycle.domain.image import ImageRef
from lifecycle.domain.measures import counted
from lifecycle.domain.permissions import READ_IMAGES
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.ports.images import ImageReport

PERMISSIONS = {"image verify": READ_IMAGES}


def inspect_image(ports: Ports, ref: ImageRef) -> ImageReport:
    """Read the image from the registry, without an engine, and apply every rule."""
    with ports.ui.step(f"inspect {ref}") as step:
        report = ports.images.inspect(ref)
        step.done(f"{counted(report.files, 'file')} in {counted(report.layers, 'layer')}")
    return report


def rejection(report: ImageReport) -> CapctlError | None:
    """The error for an image that breaks rules, naming each; None for a clean one."""
    if not report.violations:
        return None
    count = len(report.violations)
    return CapctlError(
        "image-rejected",
        f"Image `{report.ref}` breaks {count} {'rule' if count == 1 else 'rules'}",
        hint="Leave these files out with `image.exclude`, or change the base image's requirements, then push again",
        details=tuple(f"{violation.code}: {violation.message}" for violation in report.violations),
    )
