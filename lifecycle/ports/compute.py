"""What Batch and EC2 have of the project's releases, whoever made or changed it."""

from typing import Protocol

from lifecycle.domain.compute import DefinitionRecord, EnvironmentRecord, HostRecord, QueueRecord, TemplateRecord


class Compute(Protocol):
    """What is called `<project>-<release id>`, or carries the project's tag. Each method reads the whole account in a call, or a call
    per page. Errors: `Denied`, `Inconclusive("aws-throttled")`, `CapctlError("aws-unclear" | "aws-unreachable")`.
    """

    def queues(self) -> tuple[QueueRecord, ...]:
        """Job queues."""

    def environments(self) -> tuple[EnvironmentRecord, ...]:
        """Compute environments."""

    def definitions(self) -> tuple[DefinitionRecord, ...]:
        """Active revisions of job definitions."""

    def templates(self) -> tuple[TemplateRecord, ...]:
        """Launch templates, by name alone: EC2 tells no tags of them here."""

    def hosts(self) -> tuple[HostRecord, ...]:
        """Instances that carry the project's tag and a release's, but those that were terminated."""
