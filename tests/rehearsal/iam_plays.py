"""What is played so that every command asks for all that it needs: the commands that the scene of a rehearsal lacks, and a release."""

from __future__ import annotations

from typing import Any

from lifecycle.domain.sweep import LeftoverKind
from tests.contract.test_leftovers import emulated
from tests.rehearsal.kept_stage import KeptStage, Project
from tests.rehearsal.stage_parts import until

PASSPHRASE = {"PULUMI_CONFIG_PASSPHRASE": "rehearsal"}
# The next bootstrap, without it, takes it from the role again.
_WITH_SECRET = {
    "CAPCTL_RELEASE__DATABASE_SECRET_ARN": "arn:aws:secretsmanager:us-west-2:123456789012:secret:database-a1b2c3"
}
# Another policy, another setting of each kind.
_OTHER_REPOSITORY = {
    "CAPCTL_IMAGE__REGISTRY__EXPIRE_CODE_DAYS": "5",
    "CAPCTL_IMAGE__REGISTRY__MOVABLE_TAGS": "[dev-*]",
    "CAPCTL_IMAGE__REGISTRY__SCAN_ON_PUSH": "false",
}


def play_all(kept: KeptStage, project: Project, with_shared_state: Project) -> None:
    """`project` is a copy of the stage's own, `with_shared_state` a newcomer that keeps its state in S3."""
    ami = next(one for one in project.done("ami", "ls")["amis"] if one["status"] not in {None, "candidate"})
    project.done("ami", "show", ami["id"])
    project.done("ami", "diff", ami["id"])
    project.fails("channel-missing", 1, "ami", "diff", "unknown")
    project.done("ami", "verify", ami["id"], "--boot")
    project.done("ami", "copy", ami["id"], "--to-region", "eu-west-1")
    _play_the_life_of_an_ami(kept, project, ami)
    # Others may have baked since: the AMI of the active release has passed its smoke job.
    project.done("ami", "promote", active_ami(project), "--to", "stable", "--yes")
    project.done("ami", "channels")
    project.done("ami", "show", "stable")
    project.done("ami", "verify", "stable")
    project.done("deploy", "--ami", "stable", "--dry-run")
    with project.changed_config() as (_, target):
        del target["smoke"]["video_url"]
    project.done("smoke")
    video = f"s3://{project.bucket}/samples/portrait.mp4"
    job = project.done("job", "submit", "--video", video)
    project.done("job", "logs", job["id"], "--follow")
    # Without a database the rows go to S3, a segment at a time, and the segments are removed in the end.
    loose = project.done("job", "submit", "--video", video, "--session", "loose", "--env", "DATABASE_URL=")
    project.done("job", "logs", loose["id"], "--follow")
    project.done("job", "ls")
    project.done("history")
    project.done("job", "show", job["id"])
    # Of a job that failed by itself its log is read, and of a release that is gone the record.
    kept.client("s3").put_object(Bucket=project.bucket, Key="videos/no-film.mp4", Body=b"no film")
    bad = project.done("job", "submit", "--video", f"s3://{project.bucket}/videos/no-film.mp4", "--session", "no-film")
    assert project("job", "logs", bad["id"], "--follow").exit_code == 1
    assert "no-film.mp4" in project.done("job", "show", bad["id"])["said"]
    project.fails("release-missing", 1, "rollback", "--yes", "--to", "0123456789ab")
    unwanted = project.done("job", "submit", "--video", video, "--session", "unwanted")
    assert project.done("job", "cancel", unwanted["id"], "--yes")["changed"]
    _move_one_job(kept, project, video)
    with_shared_state.done("bootstrap", **PASSPHRASE, **_WITH_SECRET)
    for command in ("status", "drift", "models lock", "models verify"):
        with_shared_state.done(*command.split(), **PASSPHRASE)
    # It reads the models, finds that there is no runtime beside them, and ends.
    contract = {"CAPCTL_IMAGE__BASE__RUNTIME_CONTRACT": "contract.json"}
    with_shared_state.fails("runtime-invalid", 1, "models", "contract", **contract)
    with_shared_state.done("bootstrap", **PASSPHRASE, **_OTHER_REPOSITORY)
    _release_all(project)
    _sweep_one_of_each(kept, with_shared_state)
    _prune_one(kept, with_shared_state, ami_id=project.done("ami", "ls")["amis"][0]["id"])


def active_ami(project: Project) -> str:
    (release,) = (each for each in project.done("status")["releases"] if each["role"] == "active")
    return str(release["ami"])


def _release_all(project: Project) -> None:
    """Release other models and other code: every stage has something to do, and the oldest release goes."""
    (project.folder / "models" / "models" / "more.bin").write_bytes(b"more")
    project.done("models", "lock")
    project.done("models", "push")
    project.change_code("with other models")
    released = project.done("release", "--yes", "--promote", "beta")
    assert [stage["outcome"] for stage in released["stages"]] == ["changed"] * 4


def _move_one_job(kept: KeptStage, project: Project, video: str) -> None:
    """Let a job wait on the active release, go back from that, and move the job; then all is as before."""
    status = project.done("status")
    active, before = (status["pointer"][name] for name in ("release_id", "previous_release_id"))
    environment = next(one["compute_environment_arn"] for one in status["releases"] if one["id"] == active)
    batch = kept.client("batch")
    batch.update_compute_environment(computeEnvironment=environment, state="DISABLED")
    waiting = project.done("job", "submit", "--video", video, "--session", "waiting")
    # The plan looks where the way back leads, which `--yes` does not.
    project.done("rollback", "--dry-run", "--to", before)
    project.done("rollback", "--yes", "--to", before)
    (moved,) = project.done("job", "move", active, "--yes")["moved"]
    assert moved["id"] == waiting["id"]
    assert project.done("job", "show", waiting["id"])["moved_to"]["job_id"] == moved["job_id"]
    project.done("job", "logs", moved["job_id"], "--follow")
    batch.update_compute_environment(computeEnvironment=environment, state="ENABLED")

    def is_valid() -> bool:
        (found,) = batch.describe_compute_environments(computeEnvironments=[environment])["computeEnvironments"]
        return bool(found["status"] == "VALID")

    until(is_valid)
    project.done("rollback", "--yes", "--to", active)


def _play_the_life_of_an_ami(kept: KeptStage, project: Project, ami: dict[str, Any]) -> None:
    """Deprecate, share and disable an AMI that no release has."""
    ec2, name = kept.client("ec2"), f"{ami['name']}-spare"
    region = ec2.meta.region_name
    spare = ec2.copy_image(SourceImageId=ami["id"], SourceRegion=region, Name=name, CopyImageTags=True)["ImageId"]
    ec2.modify_image_attribute(ImageId=spare, ImdsSupport={"Value": "v2.0"})
    (image,) = ec2.describe_images(ImageIds=[spare])["Images"]
    snapshots = [mapping["Ebs"]["SnapshotId"] for mapping in image["BlockDeviceMappings"]]
    own = {"capctl:status": "verified", "capctl:copied-from": f"{region}/{ami['id']}"}
    tags = {tag["Key"]: tag["Value"] for tag in image["Tags"]} | own
    ec2.create_tags(Resources=[spare, *snapshots], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
    for words in (("deprecate", spare, "--in", "30d", "--yes"), ("deprecate", spare, "--undo")):
        project.done("ami", *words)
    project.fails("ami-not-shareable", 1, "ami", "share", spare, "--with", "210987654321", "--yes")
    for words in (("disable", spare, "--yes"), ("disable", spare, "--undo")):
        project.done("ami", *words)
    for words in (
        ("copy", "--to-region", "eu-west-1"),
        ("deprecate", "--undo"),
        ("share", "--with", "210987654321", "--yes"),
        ("disable", "--yes"),
    ):
        project.fails("channel-missing", 1, "ami", words[0], "unknown", *words[1:])
    ec2.deregister_image(ImageId=spare)


def _sweep_one_of_each(kept: KeptStage, project: Project) -> None:
    """Let a run that died have left one thing of each kind, and remove them all."""
    base = kept.client("ec2").describe_images(Owners=["self"])["Images"][0]["ImageId"]
    account = emulated(kept, base, project.name)  # type: ignore[arg-type]
    made = {account.make(kind, project.name, "20260101-000000-dead00") for kind in LeftoverKind}
    runs = project.folder / ".capctl" / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    (runs / "20260101-000000-dead00").write_text("")
    swept = project.done("ami", "sweep", "--run", "20260101-000000-dead00", "--yes", **PASSPHRASE)
    assert {one["id"] for one in swept["leftovers"] if one["outcome"] == "removed"} == made


def _prune_one(kept: KeptStage, project: Project, *, ami_id: str) -> None:
    """Let the project have an AMI that nobody uses, and disable it."""
    region = kept.environment["AWS_REGION"]
    own = {
        "capctl:project": project.name,
        "capctl:status": "verified",
        "capctl:run": "20260101-000000-c0ffee",
        "capctl:copied-from": f"{region}/{ami_id}",
    }
    tags = [{"Key": key, "Value": value} for key, value in own.items()]
    kept.client("ec2").copy_image(
        SourceImageId=ami_id,
        SourceRegion=region,
        Name=f"{project.name}-unused",
        TagSpecifications=[{"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")],
    )
    at_once = {"CAPCTL_AMI__RETENTION__MIN_AGE_DAYS": "0"}
    (pruned,) = project.done("ami", "prune", "--apply", "--yes", **at_once, **PASSPHRASE)["amis"]
    assert pruned["outcome"] == "disabled"
