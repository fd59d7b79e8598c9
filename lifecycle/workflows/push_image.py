"""Push the code as one layer on the base image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lifecycle.config.target import Target
from lifecycle.domain.permissions import PUSH_IMAGES, READ_IMAGES
from lifecycle.domain.plan import Plan
from lifecycle.ports import Ports
from lifecycle.ports.code import PushedImage
from lifecycle.workflows.source import told_source

if TYPE_CHECKING:
    from lifecycle.domain.push_preview import PushPreview

PERMISSIONS = {"image push": READ_IMAGES}


@dataclass(frozen=True, slots=True, kw_only=True)
class PushCode:
    """Push the code as one layer. The registry confirms the digest of the manifest it stored, so nothing is read back."""

    ports: Ports
    tag: str
    permissions: tuple[str, ...] = PUSH_IMAGES

    def describe(self) -> str:
        return f"push code image {self.tag}"

    def apply(self) -> PushedImage:
        return self.ports.code.push()

    def verify(self, _: PushedImage) -> None:
        """The registry has said it: see the class."""


def plan_push_image(ports: Ports, target: Target) -> Plan:
    """One step. Raises `CapctlError("image-rejected")` for code that must not ship, `"base-missing"` before the first `image base`."""
    ports.code.prepare_push()
    return _planned(ports, target)


def preview_push_image(ports: Ports, target: Target) -> tuple[Plan, PushPreview]:
    """The plan with what it would send, and against what; it has no step where the registry has the image. Raises as `plan_push_image`."""
    plan, preview = _planned(ports, target), ports.code.preview()
    told_source(ports)
    if preview.known:
        because = f"the registry has the code of the working tree, `{preview.tag}`"
        plan = replace(plan, because=because, steps=())
    return replace(plan, details=preview.details()), preview


def _planned(ports: Ports, target: Target) -> Plan:
    from lifecycle.workflows.shippable import (
        require_shippable,  # whose import takes as long as an answer of the registry
    )

    require_shippable(ports, target)
    tag = ports.code.tag()
    return Plan(
        title="push the code image",
        because=f"the code of the working tree is `{tag}`",
        steps=(PushCode(ports=ports, tag=tag),),
    )
