"""Check what an image in the registry holds and costs."""

from lifecycle.config.target import Target
from lifecycle.domain.image import ImageRef, parse_image_ref
from lifecycle.domain.image_report import ImageReport, report_on
from lifecycle.domain.measures import counted
from lifecycle.domain.permissions import READ_IMAGES
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.workflows.image_rules import image_policy

PERMISSIONS = {"image verify": READ_IMAGES}


def verify_image(ports: Ports, target: Target, image: str | None) -> ImageReport:
    """Read an image from the registry, without an engine, and apply every rule.

    `image` is `repository@sha256:…` or a digest; None means that of the working tree's code. Raises `CapctlError("image-missing")`.
    """
    ref = parse_image_ref(image, default_repository=target.repository) if image else _pushed_code(ports)
    with ports.ui.step(f"inspect {ref}") as step:
        index, packages = ports.registry.index(ref), ports.base_builder.packages()
        report = report_on(ref, index, image_policy(target.settings.image, packages))
        step.done(f"{counted(report.files, 'file')} in {counted(len(report.layers), 'layer')}")
    return report


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
