"""Which release a deploy is to make."""

from dataclasses import dataclass

from lifecycle.config.schema import ReleaseSection
from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId, AmiRecord
from lifecycle.domain.ami_status import AmiStatus
from lifecycle.domain.digest import parse_digest
from lifecycle.domain.image_report import ImageReport, image_rejection
from lifecycle.domain.job import contract
from lifecycle.domain.proof import Level
from lifecycle.domain.release import Parameters, Release
from lifecycle.domain.runtime import mount_place, require_pair
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError, UsageError
from lifecycle.ports import Ports
from lifecycle.workflows.lookups import ami_of
from lifecycle.workflows.verify_image import verify_image

_DATABASE = contract.Env.DATABASE_URL.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the command line named; None means the newest verified AMI that is not superseded, and the image of the working tree's code."""

    ami: str | None = None
    image: str | None = None


def wanted_release(ports: Ports, target: Target, wanted: Wanted) -> Release:
    """The release that the AMI, the image and the configuration make.

    Raises `UsageError("network-missing" | "database-twice")`, and `CapctlError("runtime-unsuited")` where the image was built for another
    runtime than the AMI has.
    """
    parameters = _parameters(target.settings.release, network_of(ports, target))
    ami = _deployable_ami(ports, target, wanted.ami)
    image = _deployable_image(ports, target, wanted.image)
    if image.runtime:
        usable = (other for other in ports.amis.list(target.project) if other.is_deployable_by(target.proof_level))
        require_pair(image.ref, image.runtime, ami, usable)
    return Release(
        ami_id=ami.id,
        image=image.ref,
        model_set=parse_digest(ami.tags[Tag.MODEL_SET]),
        parameters=parameters,
        runtime_mount=mount_place(image.runtime, str(image.ref)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Where the hosts of a release are."""

    subnet_ids: tuple[str, ...]
    security_group_ids: tuple[str, ...]


def network_of(ports: Ports, target: Target) -> Network:
    """The one of the configuration, else the one that the base stack made. Raises `UsageError("network-missing")`."""
    section = target.settings.release
    given = Network(subnet_ids=section.subnet_ids, security_group_ids=section.security_group_ids)
    if not given.subnet_ids and not given.security_group_ids:
        base = ports.stack.base()
        given = Network(subnet_ids=base.subnet_ids, security_group_ids=base.security_group_ids)
    for name in ("subnet_ids", "security_group_ids"):
        if not getattr(given, name):
            raise UsageError(
                "network-missing",
                f"`release.{name}` of target `{target.name}` is empty and Batch needs it",
                hint="Set `release.subnet_ids` and `release.security_group_ids` in capctl.yaml, or leave both out, set "
                "`network.create` and run `capctl bootstrap`",
            )
    return given


def _parameters(section: ReleaseSection, network: Network) -> Parameters:
    if section.database_secret_arn and _DATABASE in section.environment:
        raise UsageError(
            "database-twice",
            f"`release.environment` has {_DATABASE} and `release.database_secret_arn` would set it too",
            hint=f"Remove {_DATABASE} from `release.environment`, or the secret",
        )
    return Parameters(
        instance_types=section.instance_types,
        max_vcpus=section.max_vcpus,
        spot=section.spot,
        subnet_ids=network.subnet_ids,
        security_group_ids=network.security_group_ids,
        volume_gib=section.volume_gib,
        vcpus=section.vcpus,
        memory_mib=section.memory_mib,
        gpus=section.gpus,
        timeout_s=section.timeout_s,
        attempts=section.attempts,
        environment=section.environment,
        database_secret_arn=section.database_secret_arn or "",
    )


def _deployable_ami(ports: Ports, target: Target, ami: str | None) -> AmiRecord:
    level = target.proof_level
    if ami is None:
        usable = [record for record in ports.amis.list(target.project) if record.is_deployable_by(level)]
        # That it was rolled back may be why: only who names it takes it again.
        found = next((record for record in usable if record.status is not AmiStatus.SUPERSEDED), None)
        if found is None:
            raise CapctlError(
                "ami-missing",
                f"Project `{target.project}` has no verified AMI in {target.region}{' that is not superseded' if usable else ''}",
                hint="Run `capctl ami bake --force`, or name one of `capctl ami ls --status superseded` with `--ami`"
                if usable
                else "Run `capctl ami bake`",
            )
        return found
    return deployable_ami(ports, level, ami_of(ports, ami))


def deployable_ami(ports: Ports, level: Level, ami_id: AmiId) -> AmiRecord:
    """The AMI. Raises `CapctlError("ami-missing" | "ami-not-verified")` unless a release may take it."""
    record = ports.amis.get(ami_id)
    if not record.is_deployable_by(level):
        raise CapctlError(
            "ami-not-verified",
            f"AMI `{record.id}` is {record.standing(level)}; a release needs a verified one",
            hint=record.way_to_proof(level),
        )
    return record


def _deployable_image(ports: Ports, target: Target, image: str | None) -> ImageReport:
    report = verify_image(ports, target, image)
    if failure := image_rejection(report):
        raise failure
    return report


def require_deployable(ports: Ports, target: Target, release: Release) -> None:
    """Raise whatever is wrong with the AMI or the image of a release by now."""
    deployable_ami(ports, target.proof_level, release.ami_id)
    _deployable_image(ports, target, str(release.image))
