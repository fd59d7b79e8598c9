"""SSM: the public parameter that names the base AMI, and parameters that name AMIs, which are looked at before they are published."""

from __future__ import annotations

import json
import re
from copy import copy
from threading import Timer
from typing import Any

import moto.ssm.models
import moto.ssm.urls
from moto.core.utils import utcnow
from moto.ssm.exceptions import ValidationException
from moto.ssm.models import Parameter, SimpleSystemManagerBackend, ssm_backends

from lifecycle.rehearsal.emulator.base_image import BASE_AMI_ID, BASE_AMI_NAME, BASE_AMI_PARAMETER
from lifecycle.rehearsal.emulator.ec2 import RehearsalEc2

_AMI_TYPE, _AMI_ID = "aws:ec2:image", re.compile(r"ami-[0-9a-z]{8,32}")
# How long AWS takes is not told; here it is long enough that a version is not there at once.
_PUBLISHED_AFTER_S = 0.1


class RehearsalParameter(Parameter):  # type: ignore[misc]
    """A parameter whose history says who wrote each version."""

    def describe_response_object(self, decrypt: bool = False, include_labels: bool = False) -> dict[str, Any]:
        described: dict[str, Any] = super().describe_response_object(decrypt, include_labels)
        return described | {"LastModifiedUser": f"arn:aws:iam::{self.account_id}:user/rehearsal"}


class _Selected(RehearsalParameter):
    """A version of a parameter that was asked for by its number or its label."""

    selector: str

    def response_object(self, decrypt: bool = False, region: str | None = None) -> dict[str, Any]:
        return {**super().response_object(decrypt, region), "Selector": self.selector}


class RehearsalSsm(SimpleSystemManagerBackend):  # type: ignore[misc]
    """moto's SSM backend, whose public ECS parameters name the rehearsal's base AMI instead of images that do not exist here.

    A new version of a parameter of type `aws:ec2:image` has its number at once and is published a moment later, if its AMI is there.
    """

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        # The newest number of each parameter that has versions to come.
        self._awaited: dict[str, int] = {}
        recommended = {"image_id": BASE_AMI_ID, "image_name": BASE_AMI_NAME, "os": "Amazon Linux 2023"}
        # Marked as loaded, else moto appends its own values at the first look.
        self._parameters.latest_ecs_amis_loaded = True
        self._publish(BASE_AMI_PARAMETER, json.dumps(recommended))
        for name, value in recommended.items():
            self._publish(f"{BASE_AMI_PARAMETER}/{name}", value)

    @property
    def _url_module(self) -> Any:
        return moto.ssm.urls

    def put_parameter(
        self, name: str, description: str, value: str, parameter_type: str, *options: Any, **more: Any
    ) -> Parameter:
        # What moto passes by place: pattern, key, overwrite, tags, data type.
        if options[4] != _AMI_TYPE:
            return super().put_parameter(name, description, value, parameter_type, *options, **more)
        if not _AMI_ID.fullmatch(value):
            raise ValidationException(f"The value {value} is not the id of an AMI, as data type {_AMI_TYPE} asks")
        made = super().put_parameter(name, description, value, parameter_type, *options, **more)
        self._parameters[name].remove(made)
        if not self._parameters[name]:
            del self._parameters[name]
        made.version = self._awaited[name] = max(made.version, self._awaited.get(name, 0) + 1)
        later = Timer(_PUBLISHED_AFTER_S, self._publish_version, [made])
        later.daemon = True
        later.start()
        return made

    def _publish_version(self, made: Parameter) -> None:
        if self._awaited.get(made.name) == made.version:
            del self._awaited[made.name]
        image = RehearsalEc2.in_region(self.account_id, self.region_name).amis.get(made.value)
        if image is not None and image.state == "available":
            self._parameters[made.name].append(made)
            self._parameters[made.name].sort(key=lambda version: int(version.version))

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
    moto.ssm.models.Parameter = RehearsalParameter
