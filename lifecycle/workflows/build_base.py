"""Build the base image and push it, unless the registry has the one that the lock asks for."""

from dataclasses import dataclass

from lifecycle.domain.image import TaggedImage
from lifecycle.domain.permissions import PUSH_IMAGES, READ_IMAGES
from lifecycle.domain.plan import Plan
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports

PERMISSIONS = {"image base": READ_IMAGES}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildBase:
    """Build the base image and push it."""

    ports: Ports
    tag: str
    permissions: tuple[str, ...] = PUSH_IMAGES

    def describe(self) -> str:
        return f"build base image {self.tag}"

    def apply(self) -> TaggedImage:
        return self.ports.base_builder.build()

    def verify(self, result: TaggedImage) -> None:
        if self.ports.base_builder.find() != result:
            raise CapctlError(
                "base-missing",
                f"The registry does not have `{self.tag}` as {result.ref.digest} after the push",
                hint="Run `capctl image base` again; if it stays so, look at the registry's log",
            )


def plan_build_base(ports: Ports) -> Plan:
    """One step, or none when the registry has the base image of the current lock."""
    tag, base = ports.base_builder.tag(), ports.base_builder.find()
    if base is not None:
        return Plan(title="build the base image", because=f"`{tag}` is in the registry as {base.ref.digest}")
    return Plan(
        title="build the base image",
        because=f"the registry does not have `{tag}`",
        steps=(BuildBase(ports=ports, tag=tag),),
    )


def base_image(ports: Ports) -> TaggedImage:
    """The base image of the current lock. Raises `CapctlError("base-missing")`."""
    return ports.base_builder.required()
