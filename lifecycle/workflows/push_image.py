"""Push the code as one layer on the base image."""

from dataclasses import dataclass

from lifecycle.config.target import Target
from lifecycle.domain.image_report import code_rejection
from lifecycle.domain.permissions import PUSH_IMAGES, READ_IMAGES
from lifecycle.domain.plan import Plan
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.ports.code import PushedImage
from lifecycle.workflows.image_rules import image_policy

PERMISSIONS = {"image push": READ_IMAGES}


@dataclass(frozen=True, slots=True, kw_only=True)
class PushCode:
    """Push the code as one layer.

    The registry confirms the digest of the manifest it stored, so nothing is read back. `verify` asks what it cannot confirm:
    whether the code that was pushed is still the code of the plan.
    """

    ports: Ports
    tag: str
    permissions: tuple[str, ...] = PUSH_IMAGES

    def describe(self) -> str:
        return f"push code image {self.tag}"

    def apply(self) -> PushedImage:
        return self.ports.code.push()

    def verify(self, result: PushedImage) -> None:
        if result.tag != self.tag:
            raise CapctlError(
                "code-changed",
                f"The code changed while it was pushed: planned `{self.tag}`, pushed `{result.tag}`",
                hint="Run `capctl image push` again",
            )


def plan_push_image(ports: Ports, target: Target) -> Plan:
    """One step. Raises `CapctlError("image-rejected")` for code that must not ship, `"base-missing"` before the first `image base`."""
    if failure := code_rejection(ports.code.index(), image_policy(target.settings.image)):
        raise failure
    tag = ports.code.tag()
    return Plan(
        title="push the code image",
        because=f"the code of the working tree is `{tag}`",
        steps=(PushCode(ports=ports, tag=tag),),
    )
