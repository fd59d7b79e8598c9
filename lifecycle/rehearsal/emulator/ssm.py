"""SSM: the public parameter that names the recommended ECS GPU image, naming the rehearsal's base AMI."""

from __future__ import annotations

import json
from typing import Any

import moto.ssm.urls
from moto.core.utils import utcnow
from moto.ssm.models import Parameter, SimpleSystemManagerBackend, ssm_backends

from lifecycle.rehearsal.emulator.base_image import BASE_AMI_ID, BASE_AMI_NAME, BASE_AMI_PARAMETER


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
