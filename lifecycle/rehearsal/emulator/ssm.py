"""SSM: the public parameter that names the recommended ECS GPU image, naming the rehearsal's base AMI."""

from __future__ import annotations

import json
from copy import copy
from typing import Any

import moto.ssm.urls
from moto.core.utils import utcnow
from moto.ssm.models import Parameter, SimpleSystemManagerBackend, ssm_backends

from lifecycle.rehearsal.emulator.base_image import BASE_AMI_ID, BASE_AMI_NAME, BASE_AMI_PARAMETER


class _Selected(Parameter):  # type: ignore[misc]
    """A version of a parameter that was asked for by its number or its label."""

    selector: str

    def response_object(self, decrypt: bool = False, region: str | None = None) -> dict[str, Any]:
        return {**super().response_object(decrypt, region), "Selector": self.selector}


class RehearsalSsm(SimpleSystemManagerBackend):  # type: ignore[misc]
    """moto's SSM backend, whose public ECS parameters name the rehearsal's base AMI instead of images that do not exist here."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        recommended = {"image_id": BASE_AMI_ID, "image_name": BASE_AMI_NAME, "os": "Amazon Linux 2023"}
        # Marked as loaded, else moto appends its own values at the first look.
        self._parameters.latest_ecs_amis_loaded = True
        self._publish(BASE_AMI_PARAMETER, json.dumps(recommended))
        for name, value in recommended.items():
            self._publish(f"{BASE_AMI_PARAMETER}/{name}", value)

    @property
    def _url_module(self) -> Any:
        return moto.ssm.urls

    def get_parameters(self, names: list[str]) -> dict[str, Parameter]:
        """With the selector of a name such as `/image:3`, which moto does not tell."""
        found: dict[str, Parameter] = super().get_parameters(names)
        for name, parameter in found.items():
            bare = self._strip_parameter_arn(name)
            if ":" in bare:
                found[name] = selected = copy(parameter)
                selected.__class__ = _Selected
                selected.selector = bare[bare.index(":") :]
        return found

    def _publish(self, name: str, value: str) -> None:
        parameter = Parameter(
            account_id=self.account_id,
            name=name,
            value=value,
            parameter_type="String",
            description=None,
            allowed_pattern=None,
            keyid=None,
            last_modified_date=utcnow(),
            version=1,
            data_type="text",
        )
        self._parameters[name].append(parameter)


def mend() -> None:
    """Hook the mended SSM backend into moto's backend table."""
    ssm_backends.backend = RehearsalSsm
