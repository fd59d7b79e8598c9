"""EC2: instances that are machines, with the volumes and the address that belong to them; the image calls are in `images`, those about
grants in `sharing`."""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Callable
from typing import Any

import moto.ec2.models.amis
import moto.ec2.models.launch_templates
import moto.ec2.urls
from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.instances import StateReason
from moto.ec2.responses import EC2Response
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

from lifecycle.rehearsal.emulator.images import ImageActions, ImageMends, RehearsalAmi
from lifecycle.rehearsal.emulator.machines import NoAddress
from lifecycle.rehearsal.emulator.pages import PagedTemplates, RehearsalTemplate, paged
from lifecycle.rehearsal.emulator.sharing import SharingActions, SharingMends
from lifecycle.rehearsal.emulator.stage import Stage
from lifecycle.rehearsal.machine import BootFailed
from lifecycle.rehearsal.standins.boot import simulate_boot

_log = logging.getLogger(__name__)
_NO_TOKEN = "ABCDE"  # what moto writes for a request without ClientToken


class _NotInStateFor(EC2ClientError):  # type: ignore[misc]
    def __init__(self, instance_id: str, done: str) -> None:
        message = f"This instance '{instance_id}' is not in a state from which it can be {done}."
        super().__init__("IncorrectInstanceState", message)


class RehearsalEc2(ImageMends, SharingMends, EC2Backend):  # type: ignore[misc]
    """moto's EC2 backend with machines behind its instances."""

    # Called with the instance id when an instance stops running; Batch ends the jobs on it.
    on_stopped: list[Callable[[str], None]] = []  # noqa: RUF012

    @property
    def _url_module(self) -> Any:
        return moto.ec2.urls

    @classmethod
    def in_region(cls, account_id: str, region: str) -> RehearsalEc2:
        backend: RehearsalEc2 = ec2_backends[account_id][region]
        return backend

    def describe_tags(self, filters: dict[str, list[str]] | None = None) -> list[dict[str, str]]:
        """moto looks through the tags of everything for those of one resource, for each one that it describes."""
        ids = (filters or {}).get("resource-id", [])
        if filters is None or len(filters) > 1 or len(ids) != 1 or ids[0] not in self.tags:
            found: list[dict[str, str]] = super().describe_tags(filters)
            return found
        kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(ids[0]), "")
        return [
            {"resource_id": ids[0], "key": key, "value": value, "resource_type": kind}
            for key, value in self.tags[ids[0]].items()
        ]

    def run_instances(
        self, image_id: str, count: int, user_data: Any, security_group_names: list[str], **options: Any
    ) -> Any:
        template = options.get("launch_template")
        data = self._get_template_from_args(template).data if template else {}
        image_id = image_id or data.get("ImageId", "")
        self.require_launchable(image_id)
        if former := self._launched_with(options.get("client_token")):
            return former
        asked = options.get("block_device_mappings") or data.get("BlockDeviceMappings") or []
        options["block_device_mappings"] = _with_image_volumes(self.amis[image_id].block_device_mappings, asked)
        reservation = super().run_instances(image_id, count, user_data, security_group_names, **options)
        for instance in reservation.instances:
            self._set_volume_speed(instance, options["block_device_mappings"])
            self._boot(instance)
        return reservation

    def _launched_with(self, token: str | None) -> Any:
        """The reservation that was made for the same token."""
        for reservation in self.reservations.values() if token and token != _NO_TOKEN else ():
            if any(instance.client_token == token for instance in reservation.instances):
                return reservation
        return None

    def _set_volume_speed(self, instance: Any, mappings: list[dict[str, Any]]) -> None:
        # moto creates an instance's volumes without the IOPS and the throughput that were asked for.
        wanted = {mapping["DeviceName"]: mapping.get("Ebs", {}) for mapping in mappings}
        for device, attached in instance.get_block_device_mapping:
            volume, ebs = self.get_volume(attached.volume_id), wanted.get(device, {})
            volume.iops = int(ebs["Iops"]) if ebs.get("Iops") else volume.iops
            volume.throughput = int(ebs["Throughput"]) if ebs.get("Throughput") else volume.throughput

    def _boot(self, instance: Any) -> None:
        """Boot the machine of an instance that somebody can log in to, or that a script tells what to do; any other stays a record."""
        layers, script = self.stage.layers, _script(instance)
        if script and self.stage.no_machines and instance.key_name not in self.key_pairs:
            self._simulate(instance, script, self.stage.no_machines)
            return
        if (instance.key_name not in self.key_pairs and not script) or not layers.boots(instance.image_id):
            return
        try:
            if self.stage.no_machines:
                self._refuse_machine(self.stage.no_machines)
            pair = self.key_pairs.get(instance.key_name)
            keys = pair.public_key.strip() + "\n" if pair else ""
            machine = self.stage.machines.boot(instance.id, layers.chain(instance.image_id), keys)
        except (BootFailed, NoAddress) as err:
            for line in (str(err), *getattr(err, "details", ())):
                _log.error("instance %s: %s", instance.id, line)
            instance.terminate()
            self._remove_cards(instance)
            instance.state_reason = StateReason(f"Server.InternalError: {err}", "Server.InternalError")
            return
        if script:
            self.stage.machines.run(instance.id, script, lambda: self._shut_down(instance))
        nic = instance.nics[0]
        nic.private_ip_address = machine.spec.address
        nic.private_ip_addresses[0]["PrivateIpAddress"] = machine.spec.address

    def _simulate(self, instance: Any, script: str, why: str) -> None:
        """Do what the script would, where the disk is known; any other instance stays a record."""
        disk = self.stage.layers.chain(instance.image_id)

        def boot() -> None:
            if simulate_boot(script, disk, why):
                self._shut_down(instance)

        if disk:
            threading.Thread(target=boot, name=f"boot-{instance.id}", daemon=True).start()

    def _shut_down(self, instance: Any) -> None:
        """What EC2 does with an instance that powered itself off."""
        end = instance.instance_initiated_shutdown_behavior == "terminate"
        (self.terminate_instances if end else self.stop_instances)([instance.id])
        code = "Client.InstanceInitiatedShutdown"
        instance.state_reason = StateReason(f"{code}: Instance initiated shutdown", code)

    def _refuse_machine(self, why: str) -> None:
        message = f"no machine can boot here: {why}"
        raise BootFailed(message)

    def start_instances(self, instance_ids: list[str]) -> Any:
        self._require_not_terminated(instance_ids, "started")
        answer = super().start_instances(instance_ids)
        for instance_id in instance_ids:
            self.stage.machines.start(instance_id)
        return answer

    def stop_instances(self, instance_ids: list[str]) -> Any:
        self._require_not_terminated(instance_ids, "stopped")
        answer = super().stop_instances(instance_ids)
        for instance_id in instance_ids:
            self.stage.machines.stop(instance_id)
            self._tell_stopped(instance_id)
        return answer

    def reboot_instances(self, instance_ids: list[str]) -> Any:
        answer = super().reboot_instances(instance_ids)
        for instance_id in instance_ids:
            self.stage.machines.stop(instance_id)
            self.stage.machines.start(instance_id)
        return answer

    def terminate_instances(self, instance_ids: list[str]) -> Any:
        answer = super().terminate_instances(instance_ids)
        for instance, _ in answer:
            self._remove_cards(instance)
        for instance_id in instance_ids:
            self.stage.machines.remove(instance_id)
            self._tell_stopped(instance_id)
        self.stage.layers.collect(self.stage.layers_in_use())
        return answer

    def _require_not_terminated(self, instance_ids: list[str], done: str) -> None:
        """moto brings a terminated instance back, also when a request to stop it arrives after the one to terminate it."""
        for instance in self.get_multi_instances_by_id(instance_ids):
            if instance.state == "terminated":
                raise _NotInStateFor(instance.id, done)

    def _remove_cards(self, instance: Any) -> None:
        """Network interfaces that were made with an instance end with it; moto keeps them, in use by an instance that is gone."""
        for card in instance.nics.values():
            self.enis.pop(card.id, None)

    def _tell_stopped(self, instance_id: str) -> None:
        for listener in self.on_stopped:
            listener(instance_id)


class RehearsalEc2Response(ImageActions, SharingActions, PagedTemplates, EC2Response):  # type: ignore[misc]
    """moto's EC2 calls with those of images, grants and pages replaced."""

    def _parse_block_device_mapping(self) -> list[dict[str, Any]]:
        """The request's own mappings; moto's copy of them lacks the throughput and fills what was not asked for."""
        asked: list[dict[str, Any]] = self._get_param("BlockDeviceMappings", []) or []
        for mapping in asked:
            self._validate_block_device_mapping(mapping)
        return asked

    def describe_snapshots(self) -> ActionResult:
        """In pages, and with OwnerIds, which moto ignores: the base image's snapshot would count as one's own."""
        owners = {self.current_account if owner == "self" else owner for owner in self._get_param("OwnerIds", []) or []}
        result: Any = super().describe_snapshots().result
        if owners:
            result["Snapshots"] = [snapshot for snapshot in result["Snapshots"] if snapshot.owner_id in owners]
        return paged(self, result, "Snapshots")


def mend(stage: Stage) -> None:
    """Hook the mended classes into moto: its backend table, its URL table, and the names by which it makes images and templates."""
    ImageMends.stage = stage
    ec2_backends.backend = RehearsalEc2
    moto.ec2.urls.url_paths = {"{0}/": RehearsalEc2Response.dispatch}
    moto.ec2.models.amis.Ami = RehearsalAmi
    moto.ec2.models.launch_templates.LaunchTemplate = RehearsalTemplate


def _script(instance: Any) -> str:
    """The user data that cloud-init would run as it is; the hosts of Batch have parts in MIME, which configure agents."""
    text = base64.b64decode(str(instance.user_data or "")).decode(errors="replace")
    return text if text.startswith("#!") else ""


def _with_image_volumes(of_image: list[dict[str, Any]], asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The volumes of a new instance: those of its image, each changed by the request for the same device, then the others.

    moto gives an instance the volumes of the request alone, or one of 8 GB.
    """
    left = {mapping["DeviceName"]: mapping for mapping in asked}
    merged = []
    for mapping in of_image:
        request = left.pop(mapping["DeviceName"], {})
        if "NoDevice" not in request:
            merged.append({"DeviceName": mapping["DeviceName"], "Ebs": _changed(mapping.get("Ebs", {}), request)})
    merged += [{"DeviceName": name, "Ebs": _changed({}, mapping)} for name, mapping in left.items() if "Ebs" in mapping]
    return merged


def _changed(of_image: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    asked = {name: value for name, value in (request.get("Ebs") or {}).items() if value is not None}
    kept = dict(of_image)
    if asked.get("VolumeType", kept.get("VolumeType")) != kept.get("VolumeType"):
        # IOPS and throughput belong to the type of volume they were set for.
        kept = {name: value for name, value in kept.items() if name not in ("Iops", "Throughput")}
    return {"DeleteOnTermination": True, **kept, **asked}
