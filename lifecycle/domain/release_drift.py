"""In what the parts of one release differ from what the stack recorded of it."""

from collections.abc import Iterator
from dataclasses import dataclass

from lifecycle.domain.ami import AmiRecord
from lifecycle.domain.ami_status import AmiState
from lifecycle.domain.compute import EnvironmentRecord, QueueRecord, name_of
from lifecycle.domain.difference import Difference, Severity, World
from lifecycle.domain.job import QueueState
from lifecycle.domain.recorded import RecordedRelease
from lifecycle.domain.release import DeployedRelease, needed_ids
from lifecycle.domain.release_tag import parse_release_tag

# A queue or an environment that is on its way to another state.
_PASSING = {QueueState.CREATING, QueueState.UPDATING, QueueState.UNKNOWN}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseDrift:
    """The differences of a release; what the world does not tell is passed over, since the world says so itself."""

    world: World
    recorded: RecordedRelease

    def differences(self) -> Iterator[Difference]:
        """All of them, the parts in the order in which a job meets them."""
        for look in (
            self._queue,
            self._environment,
            self._template,
            self._definition,
            self._hosts,
            self._ami,
            self._image,
        ):
            yield from look()

    @property
    def _release(self) -> DeployedRelease:
        return self.recorded.deployed

    @property
    def _name(self) -> str:
        return name_of(self._release.id, self.world.project)

    @property
    def _is_needed(self) -> bool:
        return self.world.pointer is None or self._release.id in needed_ids(self.world.pointer)

    @property
    def _remake(self) -> str:
        """What brings a part back that somebody removed: a refresh tells the stack, and the deploy makes what it lacks."""
        release = self._release
        return (
            f"`pulumi refresh` of stack `{self.world.stack}`,"
            f" then `capctl deploy --ami {release.ami_id} --image {release.image.digest}`"
        )

    @property
    def _replace(self) -> str:
        """What leads away from a part that is not what it was."""
        pointer = self.world.pointer
        if pointer and pointer.release_id == self._release.id and pointer.previous_release_id:
            return "`capctl rollback`, or " + self._remake
        return self._remake

    def _fault(self, code: str, what: str, *, expected: str, found: str, do: str = "") -> Difference:
        return self._difference(Severity.FAULT, code, what, expected=expected, found=found, do=do or self._replace)

    def _difference(
        self, severity: Severity, code: str, what: str, *, expected: str, found: str, do: str = ""
    ) -> Difference:
        return Difference(
            severity=severity,
            code=code,
            what=what,
            expected=expected,
            found=found,
            next=do,
            release_id=self._release.id,
        )

    def _missing(self, kind: str, code: str, found: str = "missing") -> Difference:
        return self._fault(f"{code}-missing", f"{kind} {self._name}", expected="there", found=found)

    # --- Batch -----------------------------------------------------------------------------------------------------

    def _queue(self) -> Iterator[Difference]:
        if self.world.queues is None:
            return
        queue = self.world.queues.get(self._release.job_queue_arn)
        if queue is None:
            yield self._missing("queue", "queue")
            return
        if queue.is_enabled or self._is_needed:
            yield from self._standing("queue", queue, "job-queue")
        else:
            yield self._difference(
                Severity.NOTICE,
                "queue-closed",
                f"queue {queue.name}",
                expected="ENABLED",
                found="DISABLED, as that of a release that is removed once its last jobs have ended",
                do="`capctl deploy`, which removes it then",
            )
        if queue.environment_arns != (self._release.compute_environment_arn,):
            yield self._fault(
                "queue-environment",
                f"compute environments of queue {queue.name}",
                expected=_short(self._release.compute_environment_arn),
                found=", ".join(map(_short, queue.environment_arns)) or "none",
                do=f"`aws batch update-job-queue --job-queue {queue.name} --compute-environment-order"
                f" order=1,computeEnvironment={self._name}`",
            )

    def _environment(self) -> Iterator[Difference]:
        if self.world.environments is None:
            return
        environment = self.world.environments.get(self._release.compute_environment_arn)
        if environment is None:
            yield self._missing("compute environment", "environment")
            return
        yield from self._standing("compute environment", environment, "compute-environment")
        most, given = self.recorded.max_vcpus, environment.max_vcpus
        if most is not None and given != most:
            yield self._fault(
                "environment-vcpus",
                f"most vCPUs of compute environment {environment.name}",
                expected=str(most),
                found=str(given),
                do=f"`aws batch update-compute-environment --compute-environment {environment.name}"
                f" --compute-resources maxvCpus={most}`",
            )
        wanted, named = (
            (self.recorded.template_id, self.recorded.template_version),
            (environment.template_id, environment.template_version),
        )
        if any(wanted) and named != wanted:
            yield self._fault(
                "environment-template",
                f"launch template of compute environment {environment.name}",
                expected=_version(wanted),
                found=_version(named),
                do=f"`aws batch update-compute-environment --compute-environment {environment.name} --compute-resources"
                f" launchTemplate={{launchTemplateId={wanted[0]},version={wanted[1]}}}`",
            )
        for ami_id in environment.ami_overrides:
            if ami_id != self._release.ami_id:
                yield self._fault(
                    "environment-ami",
                    f"AMI that compute environment {environment.name} names itself",
                    expected=f"none, or {self._release.ami_id}",
                    found=ami_id,
                )

    def _standing(self, kind: str, part: QueueRecord | EnvironmentRecord, aws_name: str) -> Iterator[Difference]:
        """Whether Batch lets jobs through it."""
        what, code = f"{kind} {part.name}", kind.rpartition(" ")[2]
        if not part.is_enabled:
            yield self._fault(
                f"{code}-disabled",
                what,
                expected="ENABLED",
                found="DISABLED",
                do=f"`aws batch update-{aws_name} --{aws_name} {part.name} --state ENABLED`",
            )
        if part.state is not QueueState.VALID:
            passes = part.state in _PASSING
            yield self._difference(
                Severity.NOTICE if passes else Severity.FAULT,
                f"{code}-state",
                what,
                expected=QueueState.VALID,
                found=f"{part.state}: {part.reason}" if part.reason and not passes else part.state,
                do="`capctl drift` again in some minutes" if passes else self._replace,
            )

    def _template(self) -> Iterator[Difference]:
        templates, version = self.world.templates, self.recorded.template_version
        if templates is None or not self.recorded.template_id:
            return
        template = templates.get(self.recorded.template_id)
        if template is None or version not in template.amis:
            found = "missing" if template is None else f"only version {', '.join(template.amis)}"
            yield self._missing(f"version {version} of launch template", "template", found)
            return
        if template.amis[version] != self._release.ami_id:
            yield self._fault(
                "template-ami",
                f"AMI of launch template {template.name}",
                expected=self._release.ami_id,
                found=template.amis[version] or "none",
            )
        others = sorted((number for number in template.amis if number != version), key=int)
        if others:
            yield self._difference(
                Severity.NOTICE,
                "template-versions",
                f"launch template {template.name}",
                expected=f"version {version} alone",
                found=f"version {', '.join(others)} too, which nothing of the release names",
                do=f"`aws ec2 delete-launch-template-versions --launch-template-id {template.id} --versions {' '.join(others)}`",
            )

    def _definition(self) -> Iterator[Difference]:
        if self.world.definitions is None:
            return
        arn = self._release.job_definition_arn
        definition = self.world.definitions.get(arn)
        if definition is None:
            active = [_short(one) for one in self.world.definitions if one.rpartition(":")[0] == arn.rpartition(":")[0]]
            found = f"not active, unlike {', '.join(active)}" if active else "missing, or not active"
            yield self._fault("definition-missing", f"job definition {_short(arn)}", expected="active", found=found)
        elif self._release.image.digest and definition.image != str(self._release.image):
            yield self._fault(
                "definition-image",
                f"image of job definition {_short(arn)}",
                expected=str(self._release.image),
                found=definition.image or "none",
            )

    # --- what the release consists of ------------------------------------------------------------------------------

    def _hosts(self) -> Iterator[Difference]:
        for host in self.world.hosts or ():
            if self._release.ami_id and host.release_id == self._release.id and host.ami_id != self._release.ami_id:
                yield self._fault(
                    "host-ami",
                    f"AMI of instance {host.id}",
                    expected=self._release.ami_id,
                    found=host.ami_id,
                    do=f"`aws ec2 terminate-instances --instance-ids {host.id}`, which ends the jobs on it",
                )

    def _ami(self) -> Iterator[Difference]:
        ami_id = self._release.ami_id
        if self.world.amis is None:
            return
        if not ami_id:
            yield self._difference(
                Severity.UNREAD,
                "release-unrecorded",
                f"AMI of release {self._release.id}",
                expected="recorded",
                found="not recorded",
            )
            return
        ami = self.world.amis.get(ami_id)
        if ami is None:
            again = "`capctl ami bake`, then `capctl deploy`"
            yield self._fault("ami-missing", f"AMI {ami_id}", expected="available", found="deregistered", do=again)
        elif ami.is_off or not ami.is_proven:
            code = "ami-off" if ami.is_off else "ami-not-verified"
            yield self._fault(code, f"AMI {ami_id}", expected="verified", found=_standing(ami), do=ami.way_to_proof())

    def _image(self) -> Iterator[Difference]:
        image, tags = self._release.image, self.world.image_tags
        if tags is None:
            return
        if image.repository != self.world.repository:
            yield self._difference(
                Severity.UNREAD,
                "image-foreign",
                f"image of release {self._release.id}",
                expected=f"in {self.world.repository}",
                found=str(image) if image.digest else "not recorded",
            )
        elif image.digest not in tags:
            again = "`capctl image push`, then `capctl deploy`"
            yield self._fault(
                "image-missing", f"image {image.digest}", expected="in the registry", found="missing", do=again
            )
        elif not any(tag and tag.release_id == self._release.id for tag in map(parse_release_tag, tags[image.digest])):
            yield self._fault(
                "image-untagged",
                f"image {image.digest}",
                expected=f"a tag rel-{self._release.id}-…",
                found=", ".join(tags[image.digest]) or "no tag",
                do=f"`aws ecr put-image` of its manifest with `--image-tag rel-{self._release.id}-YYYYMMDD`: without, it may expire",
            )


def _standing(ami: AmiRecord) -> str:
    """How far an AMI has come, in whatever words its tag has."""
    if ami.state is not AmiState.AVAILABLE:
        return str(ami.state)
    return f"{ami.status or 'not baked by capctl'}{', found wrong by its last verification' if ami.has_failed else ''}"


def _short(arn: str) -> str:
    return arn.rpartition("/")[2]


def _version(template: tuple[str, str]) -> str:
    return f"{template[0] or 'none'} version {template[1] or '-'}"
