"""Whether the code of the working tree may leave this machine, pushed or in any other form."""

from lifecycle.config.target import Target
from lifecycle.domain.image_report import code_rejection
from lifecycle.ports import Ports
from lifecycle.workflows.image_rules import image_rules


def require_shippable(ports: Ports, target: Target) -> None:
    """Apply every rule that can be told of code without its base's bytes. Raises `CapctlError("image-rejected")`."""
    rules = image_rules(target.settings.image, runtime_modules=ports.base_builder.runtime_modules())
    missing = ports.code.missing_imports(rules.runtime_modules)
    if failure := code_rejection(ports.code.index(), rules, missing):
        raise failure
