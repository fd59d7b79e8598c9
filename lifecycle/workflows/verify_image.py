"""Check what an image in the registry holds and costs."""

from lifecycle.config.target import Target
from lifecycle.domain.image_report import ImageReport, report_on
from lifecycle.domain.measures import counted
from lifecycle.domain.permissions import FIND_IMAGES
from lifecycle.ports import Ports
from lifecycle.workflows.image_rules import image_rules
from lifecycle.workflows.lookups import image_of

PERMISSIONS = {"image verify": FIND_IMAGES}


def verify_image(ports: Ports, target: Target, image: str | None) -> ImageReport:
    """Read an image from the registry, without an engine, and apply every rule.

    `image` is as `lookups.image_of` takes it. Raises `CapctlError("image-missing")`.
    """
    ref = image_of(ports, target, image)
    with ports.ui.step(f"inspect {ref}") as step:
        base = ports.base_builder
        rules = image_rules(target.settings.image, packages=base.packages(), runtime_modules=base.runtime_modules())
        report = report_on(ref, ports.registry.index(ref), rules)
        step.done(f"{counted(report.files, 'file')} in {counted(len(report.layers), 'layer')}")
    return report
