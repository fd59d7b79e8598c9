"""An AMI's way through the statuses of its life, one step each."""

from dataclasses import dataclass

from lifecycle.domain.ami import TRANSITIONS, AmiStatus, Tag
from lifecycle.domain.permissions import READ_AMIS
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.workflows.lookups import ami_named


@dataclass(frozen=True, slots=True, kw_only=True)
class SetStatus:
    """Tag an AMI with the status that it has come to; one that another run took further keeps its own."""

    ports: Ports
    name: str
    to: AmiStatus
    permissions: tuple[str, ...] = (*READ_AMIS, "ec2:CreateTags")

    def describe(self) -> str:
        return f"tag {self.name} as {self.to}"

    def apply(self) -> AmiStatus:
        ami = ami_named(self.ports, self.name)
        status = ami.known_status()
        if status is self.to:
            return status
        if self.to not in TRANSITIONS[status]:
            if status is None or status.is_withdrawn or not status.is_at_least(self.to):
                raise CapctlError(
                    "ami-status-refused",
                    f"AMI `{ami.id}` is {status or 'not tagged'} and cannot become {self.to}",
                    hint="Run `capctl ami bake --force` for another AMI of the same content"
                    if status and status.is_withdrawn
                    else f"Next it can become {' or '.join(sorted(TRANSITIONS[status]))}; `capctl ami verify {ami.id}` says what it lacks",
                )
            return status
        self.ports.amis.tag(ami.id, {Tag.STATUS.value: self.to.value})
        return self.to

    def verify(self, result: AmiStatus) -> None:
        require_tags(self.ports, self.name, {Tag.STATUS.value: result.value})


def require_tags(ports: Ports, name: str, tags: dict[str, str]) -> None:
    """Read tags back that were set. Raises `CapctlError("tags-not-set")`."""
    ami = ami_named(ports, name)
    wrong = [key for key, value in tags.items() if ami.tags.get(key) != value]
    if wrong:
        found = ami.tags.get(wrong[0])
        raise CapctlError(
            "tags-not-set",
            f"AMI `{ami.id}` has {f'tag `{wrong[0]}={found}`' if found else f'no tag `{wrong[0]}`'} after another was set",
            hint="Look at it with `capctl ami show`, then run the same command again",
        )
