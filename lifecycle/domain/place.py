"""Where an instance may run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An instance type and a subnet; without one AWS chooses among those of the default VPC."""

    instance_type: str
    subnet_id: str | None = None

    def __str__(self) -> str:
        return f"{self.instance_type} in {self.subnet_id or 'the default VPC'}"
