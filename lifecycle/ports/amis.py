"""AMIs in one region of one account."""

from typing import Protocol

from lifecycle.domain.ami import AmiId, AmiRecord


class Amis(Protocol):
    """Errors: `Denied`, `CapctlError("ami-missing")`."""

    def resolve_base(self, reference: str) -> AmiId:
        """The AMI that an id or an SSM parameter name (`/aws/service/…`) means at this moment."""

    def get(self, ami_id: AmiId) -> AmiRecord:
        """One AMI; raises `CapctlError("ami-missing")`."""

    def by_name(self, name: str) -> AmiRecord | None:
        """Our own AMI with this name, in whatever state but `deregistered`: that one's name is free."""

    def list(self, project: str) -> tuple[AmiRecord, ...]:
        """Our own AMIs of a project, newest first."""

    def source_instance(self, ami_id: AmiId) -> str:
        """The id of the instance that the AMI was made from, or "" for one that no instance gave."""

    def tag(self, ami_id: AmiId, tags: dict[str, str]) -> None:
        """Set tags on the AMI and its snapshots."""

    def require_imds_v2(self, ami_id: AmiId) -> None:
        """Require IMDSv2 on instances of this AMI."""

    def deregister(self, ami_id: AmiId) -> None:
        """Remove the AMI and its snapshots."""
