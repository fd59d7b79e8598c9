"""What every resource type is to the provider, and how properties are compared."""

from typing import Any, Protocol

Properties = dict[str, Any]


class Resource(Protocol):
    """One resource type. Properties are named as in the provider's schema, in camelCase; AWS errors pass through."""

    token: str

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        """Create; returns the id and the computed properties. Raises `NotReady` when it exists but failed to settle."""

    def read(self, resource_id: str) -> Properties | None:
        """Properties as they are, those that can change behind our back; None when the resource is gone."""

    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        """Change in place what differs; returns the computed properties."""

    def delete(self, resource_id: str) -> None:
        """Delete, and wait until it is gone; one that is gone already is fine."""

    def replaced_by(self, old: Properties, new: Properties) -> set[str]:
        """Which of the changed properties AWS cannot change in place."""


class NotReady(Exception):
    """The resource was created, but did not become usable."""

    def __init__(self, resource_id: str, computed: Properties, reason: str) -> None:
        super().__init__(reason)
        self.resource_id = resource_id
        self.computed = computed
        self.reason = reason


def changed(old: Properties, new: Properties) -> set[str]:
    """Names of the properties that differ; an absent one equals None."""
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


def observed(inputs: Any, actual: Any) -> Any:
    """`inputs` with the values that AWS has, as far as both name them: what a refresh compares."""
    if isinstance(inputs, dict) and isinstance(actual, dict):
        return {name: observed(value, actual[name]) if name in actual else value for name, value in inputs.items()}
    if isinstance(inputs, list) and isinstance(actual, list) and len(inputs) == len(actual):
        return [observed(mine, theirs) for mine, theirs in zip(inputs, actual, strict=True)]
    return actual


def whole_numbers(value: Any) -> Any:
    """Properties travel as floating point; 1.0 becomes 1 again."""
    if isinstance(value, dict):
        return {name: whole_numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [whole_numbers(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def tag_list(tags: dict[str, str] | None) -> list[dict[str, str]]:
    """AWS's list form of tags."""
    return [{"Key": key, "Value": value} for key, value in sorted((tags or {}).items())]


def tag_map(tags: list[dict[str, str]] | None) -> dict[str, str]:
    """The map form of AWS's tag list."""
    return {tag["Key"]: tag["Value"] for tag in tags or []}
