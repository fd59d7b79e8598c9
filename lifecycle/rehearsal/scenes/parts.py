"""What several scenes play, and how they look behind the commands."""

from typing import Any

from lifecycle.domain.digest import brief
from lifecycle.domain.measures import counted, size_text
from lifecycle.errors import CapctlError
from lifecycle.rehearsal.commands import Capctl
from lifecycle.rehearsal.project import BUCKET, SMOKE_VIDEO
from lifecycle.rehearsal.recorder import Recorder
from lifecycle.rehearsal.samples import make_video
from lifecycle.rehearsal.stage import Stage
from lifecycle.rehearsal.standins.base_image import push_standin_base

_ALIVE = ["pending", "running", "stopping", "stopped", "shutting-down"]


def bootstrap(capctl: Capctl, record: Recorder) -> dict[str, Any]:
    """Make the base stack, and tell of it."""
    with record.step("bootstrap") as step:
        base = capctl("bootstrap").document
        step.result = f"bucket {base['bucket']}, repository, tables, queues, roles, log group"
    return base


def store_video(stage: Stage, record: Recorder) -> None:
    """Film a portrait, and bring it to where smoke jobs read it."""
    with record.step("sample video") as step:
        video = stage.folder / "portrait.mp4"
        make_video(video)
        stage.client("s3").upload_file(str(video), BUCKET, SMOKE_VIDEO.removeprefix(f"s3://{BUCKET}/"))
        step.result = f"{size_text(video.stat().st_size)} of H.264 at {SMOKE_VIDEO}"


def real_job(stage: Stage) -> tuple[str | None, ...]:
    """What may not be real of a job on its host: the baked models that it mounts, its container, where its image comes from."""
    return stage.standins.machines, stage.standins.engine, stage.standins.registry


def lock_and_push(stage: Stage, capctl: Capctl, record: Recorder) -> None:
    """Lock the models as they are and bring them into the bucket."""
    with record.step("models lock") as step:
        lock = capctl("models", "lock").document
        stage.project.commit("Lock the models")
        step.result = f"{counted(lock['files'], 'file')}, {size_text(lock['bytes'])}, {brief(lock['digest'])}"
    with record.step("models push") as step:
        capctl("models", "push")
        step.result = f"in s3://{BUCKET}"


def bake_and_verify(stage: Stage, capctl: Capctl, record: Recorder, *options: str) -> dict[str, Any]:
    """Bake the locked models, check the AMI with `options`, and tell of it."""
    with record.step("ami bake", stage.standins.machines) as step:
        baked = capctl("ami", "bake").document
        step.result = f"{baked['id']} is {baked['status']}"
    with record.step(" ".join(("ami verify", *options)), stage.standins.machines) as step:
        verified = capctl("ami", "verify", baked["id"], *options).document
        step.result = f"{counted(len(verified['checks']), 'check')} passed"
    return baked


def make_base(stage: Stage, capctl: Capctl, record: Recorder, *, meanwhile: str = "") -> None:
    """Build and push the base image; `meanwhile` says what the time was used for beside it."""
    with record.step("image base", stage.standins.engine, stage.standins.registry) as step:
        if stage.standins.engine:
            base = push_standin_base(stage.project.configuration, stage.environment)
            step.result = f"{base.tag}, the names of this interpreter's packages without their files"
        else:
            step.result = f"{capctl('image', 'base').document['tag']}{meanwhile}"


def instances(stage: Stage, *, alive: bool = False) -> int:
    """How many instances there were so far, or are `alive`."""
    filters = [{"Name": "instance-state-name", "Values": _ALIVE}] if alive else []
    pages = stage.client("ec2").get_paginator("describe_instances").paginate(Filters=filters)
    return sum(len(reservation["Instances"]) for page in pages for reservation in page["Reservations"])


def expect(holds: bool, rule: str) -> None:
    """Raises `CapctlError("rehearsal-check")` unless it holds."""
    if not holds:
        raise CapctlError(
            "rehearsal-check",
            f"The rehearsal expected otherwise: {rule}",
            hint="Read the log of the rehearsal's commands",
        )
