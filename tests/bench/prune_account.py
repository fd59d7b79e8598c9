"""`python -m tests.bench.prune_account STATE`: an emulator with a large account, made inside its process; ends with its stdin."""

import json
import sys
from pathlib import Path
from typing import Any

from lifecycle.rehearsal.emulator.server import EmulatorServer

PROJECT = "vision"
ACCOUNT, REGION = "123456789012", "us-west-2"
AMIS, TEMPLATES, PARAMETERS = 5_000, 300, 500
_EACH_USES = 3  # every third AMI is named by a template


def main(state: Path) -> None:
    """Serve until stdin ends; one line of JSON says where."""
    server = EmulatorServer(
        port=0,
        state=state,
        rehearsal="bench",
        registry=None,
        ssh_port=0,
        rootfs=None,
        no_engine="a bench",
        stop_grace_s=1,
    )
    _fill()
    server.start()
    print(json.dumps(server.facts()), flush=True)
    sys.stdin.read()
    server.close()


def _fill() -> None:
    """AMIs with two snapshots each, templates with two versions that name some of them, parameters."""
    from moto.ec2.models import ec2_backends
    from moto.ssm.models import ssm_backends

    ec2: Any = ec2_backends[ACCOUNT][REGION]
    ssm: Any = ssm_backends[ACCOUNT][REGION]
    tags = {"capctl:project": PROJECT, "capctl:status": "verified", "capctl:run": "20250101-000000-c0ffee"}
    volume = ec2.create_volume(size=30, zone_name=f"{REGION}a")
    amis = []
    for number in range(AMIS):
        ami = _ami(ec2, number)
        ami.mappings = []
        for device in ("/dev/xvda", "/dev/sdm"):
            snapshot = ec2.create_snapshot(volume.id, f"Created by CreateImage(i-0) for {ami.id}", from_ami=ami.id)
            snapshot.add_tags(tags)
            ami.mappings.append({"DeviceName": device, "Ebs": {"SnapshotId": snapshot.id, "VolumeSize": 30}})
        ami.add_tags(tags)
        amis.append(ami.id)
    for number in range(TEMPLATES):
        image = {"ImageId": amis[number * _EACH_USES]}
        template = ec2.create_launch_template(f"template-{number}", "", image, {})
        template.create_version({"ImageId": amis[number * _EACH_USES + 1]}, "")
    for number in range(PARAMETERS):
        ssm.put_parameter(f"/app/{number}", "", "text", "String", None, None, False, [], "text", None, None)


def _ami(ec2: Any, number: int) -> Any:
    from datetime import UTC, datetime

    from lifecycle.rehearsal.emulator.images import RehearsalAmi

    ami = RehearsalAmi(
        ec2, f"ami-{number:017x}", name=f"{PROJECT}-{number}", creation_date=datetime(2025, 1, 1, tzinfo=UTC)
    )
    ec2.snapshots.pop(ami.ebs_snapshot.id)
    ec2.amis[ami.id] = ami
    return ami


if __name__ == "__main__":
    main(Path(sys.argv[1]))
