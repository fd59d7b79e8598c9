"""Check what an image in the registry holds and costs."""

from lifecycle.config.target import Target
from lifecycle.domain.image import ImageRef, parse_image_ref
from lifecycle.domain.image_report import Budgets, ImageReport, report_on
from lifecycle.domain.measures import counted
from lifecycle.domain.permissions import READ_IMAGES
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports

PERMISSIONS = {"image verify": READ_IMAGES}


def verify_image(ports: Ports, target: Target, image: str | None) -> ImageReport:
    """Read an image from the registry, without an engine, and apply every rule.

    `image` is `repository@sha256:…` or a digest; None means that of the working tree's code. Raises `CapctlError("image-missing")`.
    """
    ref = parse_image_ref(image, default_repository=target.repository) if image else _pushed_code(ports)
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


def _pushed_code(ports: Ports) -> ImageRef:
    tag = ports.code.tag()
    ref = ports.registry.find(tag)
    if ref is None:
        raise CapctlError(
            "image-missing",
            f"The registry does not have `{tag}`, the code of the working tree",
            hint="Run `capctl image push`",
        )
    return ref
