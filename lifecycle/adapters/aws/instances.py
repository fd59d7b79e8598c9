"""Instances that check their own AMI: EC2 starts them, user data tells them what to do, nobody logs in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

import packer
from lifecycle.adapters.aws.errors import is_missing, translated
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.models import ModelSet
from lifecycle.ports.instances import BootRequest, InstanceRecord, InstanceState
from packer.boot import BootVariables
from packer.variables import ModelDownload, model_list

_CHECK, _LIST, _MARKER = "check.sh", "models.tsv", "model-set.json"


class Ec2Instances:
    """`ports.Instances` on EC2."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    @cached_property
    def _ec2(self) -> Any:
        return self._session.client("ec2")

    def inputs(self, models: ModelSet) -> Mapping[str, bytes]:
        # The list is the bake's; nothing is downloaded with it here.
        files = [
            ModelDownload(path=file.path, bytes=file.bytes, sha256=file.sha256, mode=file.mode, url="-")
            for file in models.files
        ]
        return {
            _CHECK: packer.VALIDATE.read_bytes(),
            _LIST: model_list(files).encode(),
            _MARKER: models.marker(),
        }

    def launch(self, request: BootRequest) -> str:
        variables = BootVariables(
            check_url=request.inputs[_CHECK],
            model_list_url=request.inputs[_LIST],
            model_marker_url=request.inputs[_MARKER],
            report_url=request.report_url,
            limit_s=request.limit_s,
        )
        place = request.place
        options: dict[str, Any] = {"SubnetId": place.subnet_id} if place.subnet_id else {}
        if request.profile:
            options["IamInstanceProfile"] = {"Name": request.profile}
        tags = [{"Key": key, "Value": value} for key, value in sorted(request.tags.items())]
        with translated(f"starting a {place.instance_type} from AMI `{request.ami_id}`"):
            answer = self._ec2.run_instances(
                ImageId=request.ami_id,
                InstanceType=place.instance_type,
                MinCount=1,
                MaxCount=1,
                ClientToken=request.token,
                UserData=variables.user_data(),
                InstanceInitiatedShutdownBehavior="terminate",
                MetadataOptions={"HttpTokens": "required"},
                TagSpecifications=[{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")],
                **options,
            )
        return str(answer["Instances"][0]["InstanceId"])

    def state(self, instance_id: str) -> InstanceRecord:
        found: dict[str, Any] = {}
        with translated(f"reading the state of instance `{instance_id}`"):
            try:
                reservations = self._ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
                found = next((instance for each in reservations for instance in each["Instances"]), {})
            except ClientError as error:
                if not is_missing(error):
                    raise
        return InstanceRecord(
            id=instance_id,
            state=InstanceState(found.get("State", {}).get("Name", "")),
            reason=(found.get("StateReason") or {}).get("Message", ""),
        )

    def terminate(self, instance_id: str) -> None:
        with translated(f"terminating instance `{instance_id}`"):
            try:
                self._ec2.terminate_instances(InstanceIds=[instance_id])
            except ClientError as error:
                if not is_missing(error):
                    raise
