"""Start an instance from an AMI, let it read its own disk, and end it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from lifecycle.config.target import Target
from lifecycle.domain.ami import AmiId
from lifecycle.domain.boot import BootFailure, BootReport, parse_boot_report
from lifecycle.domain.digest import digest_of
from lifecycle.domain.layout import Folder
from lifecycle.domain.models import ModelSet
from lifecycle.domain.moments import iso_text
from lifecycle.domain.permissions import READ_OBJECTS
from lifecycle.domain.place import Place
from lifecycle.domain.run import Run
from lifecycle.domain.tags import Tag
from lifecycle.domain.waiting import READ_BACK, Wait
from lifecycle.errors import CapctlError, Interrupted, TimedOut
from lifecycle.ports import Ports
from lifecycle.ports.instances import BootRequest, InstanceRecord, InstanceState
from lifecycle.ports.wait import until_it_passes, wait_for
from lifecycle.workflows.places import in_first_place

# iam:PassRole is asked for with `ami.instance_profile` only.
BOOT_AMI = (
    *READ_OBJECTS,
    "ec2:CreateTags",
    "ec2:DescribeInstances",
    "ec2:RunInstances",
    "ec2:TerminateInstances",
    "iam:PassRole",
    "s3:DeleteObject",
    "s3:PutObject",
)
# What is left to a command whose wait is over, until nobody can be there any more.
_MARGIN_S = 300
# These say nothing of what came of a launch; each other answer but an id refuses it.
_UNCLEAR = frozenset({"aws-throttled", "aws-unclear", "aws-unreachable"})
_MAY_RUN = frozenset({InstanceState.PENDING, InstanceState.RUNNING, InstanceState.UNKNOWN})


def boot_ami(ports: Ports, target: Target, run: Run, ami_id: AmiId, models: ModelSet) -> BootReport:
    """What an instance of the AMI reports that compared its disk with `models`; when this ends, however, instance and objects are gone.

    What cannot be removed is told, as is that an instance may be there of which nobody was told. Raises `CapctlError("boot-failed")`
    when it ends without having checked, `TimedOut("boot-timed-out")`, and `Inconclusive("no-capacity")` when it can be started nowhere.
    """
    boot = _Boot(ports=ports, target=target, run=run, ami_id=ami_id, models=models)
    try:
        return boot.report()
    finally:
        try:
            boot.remove()
        except Interrupted:  # the first signal; a second one ends the process
            boot.remove()
            raise


@dataclass(slots=True, kw_only=True)
class _Boot:
    ports: Ports
    target: Target
    run: Run
    ami_id: AmiId
    models: ModelSet
    instance_id: str = ""
    unanswered: BootRequest | None = None
    written: list[str] = field(default_factory=list)

    @property
    def timeout_s(self) -> int:
        return self.target.settings.ami.timeout_s

    def uri(self, name: str) -> str:
        return self.target.uri(Folder.BOOTS, f"{self.run.id}/{self.ami_id}/{name}")

    def report(self) -> BootReport:
        inputs = self.ports.instances.inputs(self.models)
        for name, data in inputs.items():
            self.written.append(self.uri(name))
            self.ports.objects.write(self.uri(name), data)
        expires_s = self.timeout_s + _MARGIN_S
        urls = {name: self.ports.objects.presign(self.uri(name), expires_s=expires_s) for name in inputs}
        self.written.append(self.uri("report.json"))
        self.launch(urls, self.ports.objects.presign_write(self.uri("report.json"), expires_s=expires_s))
        report = parse_boot_report(self.reported())
        outcome = report.outcome
        if isinstance(outcome, BootFailure) and not outcome.is_finding:
            raise self.failed(f"could not check itself: {outcome.code}: {outcome.subject}: {outcome.why}")
        return report

    def launch(self, inputs: Mapping[str, str], report_url: str) -> None:
        """Start the instance in the first place that has room for it."""

        def start(place: Place) -> None:
            request = BootRequest(
                ami_id=self.ami_id,
                place=place,
                profile=self.target.bake_profile,
                inputs=inputs,
                report_url=report_url,
                limit_s=self.timeout_s,
                tags=self.tags(),
                # EC2 gives one instance to one token, and this place may have refused what the one before it did.
                token=digest_of(f"{self.run.id} {self.ami_id} {place}".encode()).removeprefix("sha256:"),
            )
            try:
                self.instance_id = self.ports.instances.launch(request)
            except CapctlError as error:
                if isinstance(error, Interrupted) or error.code in _UNCLEAR:
                    self.unanswered = request
                raise
            self.ports.ui.note(f"Instance {self.instance_id} ({place.instance_type}) reads its disk")

        in_first_place(self.target, self.ports.ui, f"to boot AMI `{self.ami_id}`", start)

    def tags(self) -> dict[str, str]:
        until = self.ports.clock.now() + timedelta(seconds=self.timeout_s + _MARGIN_S)
        return {
            "Name": f"{self.target.project}-verify-{self.ami_id}",
            Tag.PROJECT.value: self.target.project,
            Tag.RUN.value: self.run.id,
            Tag.RUN_UNTIL.value: iso_text(until),
        }

    def reported(self) -> bytes:
        uri = self.uri("report.json")

        def look() -> bool:
            # In this order: the instance reports before it ends.
            instance = self.ports.instances.state(self.instance_id)
            if self.ports.objects.find(uri):
                return True
            if instance.state not in _MAY_RUN:
                raise self.ended(instance)
            return False

        def timed_out(_: bool) -> TimedOut:
            return TimedOut(
                "boot-timed-out",
                f"Instance `{self.instance_id}` of AMI `{self.ami_id}` did not report within {self.timeout_s} s",
                hint="Check that its subnet leads to S3, or raise `ami.timeout_s`",
            )

        how = Wait(shortest_s=0.25, longest_s=10.0, share=0.1, timeout_s=self.timeout_s)
        wait_for(look, bool, how, self.ports.clock, timed_out=timed_out)
        return b"".join(self.ports.objects.chunks(uri))

    def ended(self, instance: InstanceRecord) -> CapctlError:
        return self.failed(f"is {instance.state} and did not report{f': {instance.reason}' if instance.reason else ''}")

    def failed(self, how: str) -> CapctlError:
        return CapctlError(
            "boot-failed",
            f"Instance `{self.instance_id}` of AMI `{self.ami_id}` {how}",
            hint="Check that its subnet leads to S3; if it does, the AMI does not boot: run `capctl ami bake --force`",
        )

    def remove(self) -> None:
        """End the instance and remove the objects; each that cannot be is told, and the others still go."""
        try:
            if instance_id := self.started():
                self.ports.instances.terminate(instance_id)
                if not (left := self.ports.instances.state(instance_id)).state.is_over:
                    self.ports.ui.warn(
                        f"Instance `{instance_id}` is {left.state} after it was terminated; {self.where}"
                    )
        except CapctlError as error:
            if isinstance(error, Interrupted):
                raise
            self.ports.ui.warn(f"{error.message}; {self.where}")
        for uri in self.written:
            try:
                self.ports.objects.remove(uri)
            except CapctlError as error:
                if isinstance(error, Interrupted):
                    raise
                self.ports.ui.warn(f"{error.message}; remove it by hand")

    def started(self) -> str:
        """The id of this boot's instance, also of one whose launch was not answered; "" where there is none.

        Such a launch is repeated: that gives the id of the instance that it made. If it made none, one is made and ended at once: only
        then is it known that nothing is left.
        """
        request = self.unanswered
        if self.instance_id or request is None:
            return self.instance_id
        launch, is_unclear = self.ports.instances.launch, lambda error: error.code in _UNCLEAR
        try:
            return until_it_passes(lambda: launch(request), READ_BACK, self.ports.clock, may_pass=is_unclear)
        except CapctlError as error:
            if isinstance(error, Interrupted) or error.code in _UNCLEAR:
                raise
            return ""

    @property
    def where(self) -> str:
        return f"an instance tagged `{Tag.RUN}={self.run.id}` may still run: `capctl ami sweep` ends it when its time is over"
