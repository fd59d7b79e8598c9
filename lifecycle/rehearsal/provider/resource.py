"""What every resource type is to the provider, and how properties are compared."""

import json
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from lifecycle.rehearsal.provider.clients import Clients
from lifecycle.rehearsal.provider.rules import Rule

Properties = dict[str, Any]


class Resource(ABC):
    """One resource type. Properties are named as in the provider's schema, in camelCase; AWS errors pass through.

    `applied` are the properties that reach AWS, as paths such as `rules.id`, each with all below it: any other is refused, where it would
    be lost silently. `invented` are those of them for which AWS's provider invents a value when there is none, which this one does not.
    `fixed` are those that AWS cannot change in place, and `rules` is what else AWS's provider or AWS itself asks of them.
    """

    token: ClassVar[str]
    applied: ClassVar[frozenset[str]]
    invented: ClassVar[frozenset[str]] = frozenset({"name"})
    fixed: ClassVar[frozenset[str]]
    rules: ClassVar[tuple[Rule, ...]] = ()

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    @abstractmethod
    def create(self, inputs: Properties) -> tuple[str, Properties]:
        """Create; returns the id and the computed properties. Raises `NotReady` when it exists but failed to settle."""

    @abstractmethod
    def read(self, resource_id: str) -> Properties | None:
        """The applied properties as they are, and the computed ones; None when the resource is gone."""

    @abstractmethod
    def update(self, resource_id: str, old: Properties, new: Properties) -> Properties:
        """Change in place what differs; returns the computed properties."""

    @abstractmethod
    def delete(self, resource_id: str) -> None:
        """Delete, and wait until it is gone; one that is gone already is fine."""

    def replaced_by(self, old: Properties, new: Properties) -> set[str]:
        """Which of the changed properties AWS cannot change in place."""
        return changed(old, new) & self.fixed


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
    """`inputs` with the values that AWS has, as far as both name them: what a refresh compares.

    The order of a list of plain values, and the writing of a JSON document, are the inputs' where nothing else differs.
    """
    if isinstance(inputs, dict) and isinstance(actual, dict):
        return {name: observed(value, actual[name]) if name in actual else value for name, value in inputs.items()}
    if isinstance(inputs, list) and isinstance(actual, list) and len(inputs) == len(actual):
        if all(isinstance(one, str) for one in (*inputs, *actual)) and sorted(inputs) == sorted(actual):
            return inputs
        return [observed(mine, theirs) for mine, theirs in zip(inputs, actual, strict=True)]
    return inputs if _is_same_document(inputs, actual) else actual


def _is_same_document(mine: Any, theirs: Any) -> bool:
    if not (isinstance(mine, str) and isinstance(theirs, str) and mine[:1] == theirs[:1] == "{"):
        return False
    try:
        return bool(json.loads(mine) == json.loads(theirs))
    except ValueError:
        return False


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
    """The map form of AWS's tag list, without the tags that are AWS's own."""
    return {tag["Key"]: tag["Value"] for tag in tags or [] if not tag["Key"].startswith("aws:")}


def tag_change(old: Properties, new: Properties) -> tuple[dict[str, str], list[str]]:
    """The tags to set, and the keys of those to take away."""
    before, after = old.get("tags") or {}, new.get("tags") or {}
    return {key: value for key, value in after.items() if before.get(key) != value}, sorted(
        before.keys() - after.keys()
    )
