"""Check what an image in the registry holds and costs."""

from lifecycle.config.target import Target
from lifecycle.domain.image_report import Budgets, ImageReport, report_on
from lifecycle.domain.measures import counted
from lifecycle.domain.permissions import READ_IMAGES, READ_STATE
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.workflows.lookups import image_of

PERMISSIONS = {"image verify": (*READ_IMAGES, *READ_STATE)}


def verify_image(ports: Ports, target: Target, image: str | None) -> ImageReport:
    """Read an image from the registry, without an engine, and apply every rule.

    `image` is as `lookups.image_of` takes it. Raises `CapctlError("image-missing")`.
    """
    ref = image_of(ports, target, image)
    settings = target.settings.image
    budgets = Budgets(compressed_bytes=settings.budget_compressed_bytes, unpacked_bytes=settings.budget_unpacked_bytes)
    with ports.ui.step(f"inspect {ref}") as step:
        index, packages = ports.registry.index(ref), ports.base_builder.packages()
        report = report_on(ref, index, budgets=budgets, packages=packages)
        step.done(f"{counted(report.files, 'file')} in {counted(report.layers, 'layer')}")
    return report


def image_rejection(report: ImageReport) -> CapctlError | None:
    """The error for an image that breaks rules, naming each; None for a clean one."""
    if report.ok:
        return None
    return CapctlError(
        "image-rejected",
        f"Image `{report.ref}` breaks {counted(len(report.violations), 'rule')}",
        hint="Leave these files out with `image.exclude`, or change the base image's requirements, then push again",
        details=tuple(f"{violation.code}: {violation.message}" for violation in report.violations),
    )
