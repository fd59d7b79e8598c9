"""The steps of a bake; each finds the AMI by its name, so that a bake can go on where another run ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiRecord
from lifecycle.domain.ami_status import AmiState, AmiStatus
from lifecycle.domain.bake_inputs import BakeInputs
from lifecycle.domain.digest import brief
from lifecycle.domain.evidence import differences, parse_evidence
from lifecycle.domain.measures import counted, size_text
from lifecycle.domain.models import ModelSet
from lifecycle.domain.moments import iso_text, told_moment
from lifecycle.domain.permissions import READ_EVIDENCE, READ_GRANTS, READ_LEFTOVERS, REMOVE_LEFTOVERS
from lifecycle.domain.place import Place
from lifecycle.domain.plan import Step
from lifecycle.domain.proof import Level
from lifecycle.domain.run import Run
from lifecycle.domain.tags import Tag
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.ports.amis import Amis
from lifecycle.ports.baker import GRACE_S, AmiNameTaken, BakeRequest
from lifecycle.workflows.ami_status import require_snapshot_tags, require_tags, status_refused
from lifecycle.workflows.bake_evidence import keep_evidence, read_evidence
from lifecycle.workflows.boot_ami import BOOT_AMI
from lifecycle.workflows.lookups import ami_named
from lifecycle.workflows.model_objects import object_uri
from lifecycle.workflows.places import in_first_place
from lifecycle.workflows.verify_ami import AmiReport, ami_rejection, prove, require_stored
from lifecycle.workflows.wait_available import holder_of, wait_available, wait_named

# What Packer's Amazon builder calls for the template, old and new, on the way through Session Manager too.
_PACKER = (
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:CreateImage",
    "ec2:CreateKeyPair",
    "ec2:CreateSecurityGroup",
    "ec2:CreateTags",
    "ec2:DeleteKeyPair",
    "ec2:DeleteSecurityGroup",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceStatus",
    "ec2:DescribeInstances",
    "ec2:DescribeRegions",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVolumes",
    "ec2:ModifyInstanceAttribute",
    "ec2:RunInstances",
    "ec2:StopInstances",
    "ec2:TerminateInstances",
    "iam:GetInstanceProfile",
    "iam:PassRole",
    "ssm:StartSession",
    "ssm:TerminateSession",
)
# EC2 uses the key of `ami.kms_key_id` in the name of who bakes.
_OWN_KEY = (
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
# Beyond Packer's own, to remove what a bake left that failed.
_REMOVE_LEFTOVERS = (*READ_LEFTOVERS, *REMOVE_LEFTOVERS)
# What an AMI has of the run that made it, not of what went into it.
_MARKS = (Tag.RUN.value, Tag.MADE_BY.value)

# What the steps of `finish_steps` ask.
FINISH = (*READ_EVIDENCE, "ec2:CreateTags", "ec2:ModifyImageAttribute")


@dataclass(frozen=True, slots=True, kw_only=True)
class BakeAmi:
    """Let an instance download the models, check them and become an AMI; keep what it reported."""

    ports: Ports
    target: Target
    run: Run
    base: AmiRecord
    models: ModelSet
    name: str
    tags: dict[str, str]
    permissions: tuple[str, ...] = (*_PACKER, *_OWN_KEY, *_REMOVE_LEFTOVERS, "s3:GetObject", "s3:PutObject")

    def describe(self) -> str:
        size = f"{counted(len(self.models.files), 'file')}, {size_text(self.models.total_bytes)}"
        return f"bake {self.base.id} + model set {brief(self.models.digest)} ({size}) -> {self.name}"

    def apply(self) -> str:
        return in_first_place(self.target, self.ports.ui, f"to bake AMI `{self.name}`", self._bake)

    def _bake(self, place: Place) -> str:
        expires_s = self.target.settings.ami.timeout_s
        request = BakeRequest(
            ami_name=self.name,
            base=self.base,
            models=self.models,
            downloads={
                file.path: self.ports.objects.presign(object_uri(self.target, file), expires_s=expires_s)
                for file in self.models.files
            },
            # No longer can the bake live; who finds something of it later need not ask for it.
            tags={
                **self.tags,
                Tag.RUN_UNTIL.value: iso_text(self.ports.clock.now() + timedelta(seconds=expires_s + GRACE_S)),
            },
            run_id=self.run.id,
            place=place,
        )
        try:
            return self.ports.baker.bake(request, self._accept)
        except AmiNameTaken as taken:
            winner = holder_of(self.ports.amis, self.ports.clock, self.name, taken)
            return f"{winner.id}, which another run baked meanwhile"

    def verify(self, _: str) -> None:
        wait_named(self.ports.amis, self.ports.clock, self.name)

    def _accept(self, document: dict[str, Any]) -> None:
        """Compare the instance's report with the lock, and keep it before there is an AMI that needs it."""
        evidence = parse_evidence(document)
        if found := differences(evidence, self.models):
            raise CapctlError(
                "payload-mismatch",
                f"On the instance, {found[0]}; AMI `{self.name}` was not made",
                hint="Delete the damaged object below `models/` in the target's bucket, run `capctl models push`, then bake again",
                details=found[1:],
            )
        keep_evidence(self.ports, self.target, document)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagged:
    """The tags that were set."""

    tags: dict[str, str]

    def __str__(self) -> str:
        return "tagged"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteAmi:
    """Once the AMI is available, tag it and its snapshots with what went into it and with the digest of its instance's report, and let
    its instances answer metadata requests with a session token only."""

    ports: Ports
    target: Target
    run: Run
    amis: Amis
    name: str
    tags: dict[str, str]
    region: str = ""
    permissions: tuple[str, ...] = (*READ_EVIDENCE, "ec2:CreateTags", "ec2:ModifyImageAttribute")

    def describe(self) -> str:
        return (
            f"wait until {self.name}{_where(self.region)} is available, tag it with what went into it, require IMDSv2"
        )

    def apply(self) -> Tagged:
        timeout_s, found = self.target.settings.ami.timeout_s, wait_named(self.amis, self.ports.clock, self.name)
        with _going_on(self.ports, self.target, self.run, self.amis, found):
            ami = wait_available(self.amis, self.ports.clock, found.id, timeout_s=timeout_s)
            tags = self._wanted(ami)
            self.amis.tag(ami.id, tags)
            self.amis.require_imds_v2(ami.id)
        return Tagged(tags=tags)

    def verify(self, result: Tagged) -> None:
        ami = ami_named(self.amis, self.name)
        require_tags(ami, result.tags)
        require_snapshot_tags(self.amis, ami, result.tags)
        if not ami.imds_v2:
            raise CapctlError(
                "imds-not-set", f"AMI `{ami.id}` still allows IMDSv1", hint="Run the same command again", may_pass=True
            )

    def _wanted(self, ami: AmiRecord) -> dict[str, str]:
        found = read_evidence(self.amis, self.ports.objects, self.target, ami)
        evidence = {Tag.EVIDENCE.value: found[1]} if found else {}
        # An AMI that another run made keeps that run's marks, and how far it has come.
        maker = ami.tags if ami.tags.get(Tag.RUN) else self.tags
        marks = {key: maker[key] for key in _MARKS if maker.get(key)}
        status = {} if ami.status else {Tag.STATUS.value: AmiStatus.CANDIDATE.value}
        inputs = {key: value for key, value in self.tags.items() if key not in {Tag.STATUS.value, *_MARKS}}
        return {**inputs, **evidence, **marks, **status}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProveAmi:
    """Every check of `ami verify` up to the level, which for `boot` is on an instance of the AMI too; tag the AMI with what was found,
    and as verified."""

    ports: Ports
    target: Target
    run: Run
    amis: Amis
    name: str
    level: Level
    region: str = ""
    permissions: tuple[str, ...] = (*READ_EVIDENCE, *READ_GRANTS, *BOOT_AMI)

    def describe(self) -> str:
        how = " by an instance that reads it" if self.level is Level.BOOT else ""
        return f"verify {self.name}{_where(self.region)}{how}, and tag it as {AmiStatus.VERIFIED}"

    def apply(self) -> AmiReport:
        ami = ami_named(self.amis, self.name)
        with _going_on(self.ports, self.target, self.run, self.amis, ami):
            return prove(self.ports, self.target, self.run, self.amis, ami.id, self.level)

    def verify(self, result: AmiReport) -> None:
        if failure := ami_rejection(result):
            raise failure
        if not (found := require_stored(self.amis, result)).is_proven:
            raise status_refused(found, AmiStatus.VERIFIED)


def finish_steps(
    ports: Ports,
    target: Target,
    run: Run,
    amis: Amis,
    *,
    name: str,
    tags: dict[str, str],
    level: Level,
    region: str = "",
) -> tuple[Step[Any], ...]:
    """From an AMI that is being made, in the region of `amis`, to one that is verified; `tags` are of what went into it.

    The steps tell the `region` unless it is the target's, which is "".
    """
    return (
        CompleteAmi(ports=ports, target=target, run=run, amis=amis, name=name, tags=tags, region=region),
        ProveAmi(ports=ports, target=target, run=run, amis=amis, name=name, level=level, region=region),
    )


def _where(region: str) -> str:
    return f" in {region}" if region else ""


@contextmanager
def _going_on(ports: Ports, target: Target, run: Run, amis: Amis, ami: AmiRecord) -> Iterator[None]:
    """Let a sweep here know the run, and one elsewhere find its mark on the AMI, as long as the run works on it."""
    now = ports.clock.now()
    until = now + timedelta(seconds=target.settings.ami.timeout_s + GRACE_S)
    marked_until = told_moment(ami.tags.get(Tag.RUN_UNTIL, ""))
    is_marked = ami.state is AmiState.AVAILABLE and marked_until and marked_until >= now + timedelta(seconds=GRACE_S)
    with ports.bake_runs.held(run.id, until=until):
        # No sweep looks at another; and what need not be waited for is tagged long before the mark of its bake is over.
        if ami.is_half_made and not is_marked:
            amis.tag(ami.id, {Tag.RUN_UNTIL.value: iso_text(until)})
        yield


def bake_tags(
    inputs: BakeInputs, *, project: str, name: str, commit: str, run: Run, runtime_contract: str = ""
) -> dict[str, str]:
    """The tags of everything a bake makes; `runtime_contract` is the digest (hex) of that of the set's runtime, "" without one."""
    tags = {
        "Name": name,
        Tag.PROJECT.value: project,
        Tag.BAKE_DIGEST.value: inputs.digest,
        Tag.MODEL_SET.value: inputs.model_set,
        Tag.RUNTIME_CONTRACT.value: runtime_contract,
        Tag.BASE_AMI.value: inputs.base_ami,
        Tag.RECIPE.value: inputs.recipe,
        Tag.GIT.value: commit,
        Tag.MADE_BY.value: run.user,
        Tag.RUN.value: run.id,
        Tag.STATUS.value: AmiStatus.CANDIDATE.value,
    }
    return {key: value for key, value in tags.items() if value}
