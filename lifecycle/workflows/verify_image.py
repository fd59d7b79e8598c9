"""Check what an image in the registry holds and costs."""

from lifecycle.config.target import Target
from lifecycle.domain.image_report import ImageReport, report_on
from lifecycle.domain.measures import counted
from lifecycle.domain.permissions import FIND_IMAGES
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.workflows.image_rules import image_rules
from lifecycle.workflows.lookups import image_of

PERMISSIONS = {"image verify": FIND_IMAGES}


def verify_image(ports: Ports, target: Target, image: str | None, *, needs_lock: bool = True) -> ImageReport:
    """Read an image from the registry, without an engine, and apply every rule.

    `image` is as `lookups.image_of` takes it. Raises `CapctlError("image-missing")`; `CapctlError("requirements-missing")` where there is
    no lock to compare the packages with, unless it is not needed: then every other rule is applied, and a warning says so.
    """
    ref = image_of(ports, target, image)
    with ports.ui.step(f"inspect {ref}") as step:
        base = ports.base_builder
        rules = image_rules(
            target.settings.image, packages=_packages(ports, needs_lock), runtime_modules=base.runtime_modules()
        )
        report = report_on(ref, ports.registry.index(ref), rules)
        step.done(f"{counted(report.files, 'file')} in {counted(len(report.layers), 'layer')}")
    return report


def _packages(ports: Ports, needs_lock: bool) -> frozenset[str] | None:
    try:
        return ports.base_builder.packages()
    except CapctlError as error:
        if needs_lock or error.code != "requirements-missing":
            raise
        ports.ui.warn(f"The packages of the image are compared with nothing: {error.message}")
        return None
