"""What the parts of a network share: EC2 knows them by ids of its own, and finds them by their tags."""

import ipaddress
from collections.abc import Callable
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from lifecycle.rehearsal.provider.resource import Properties, Resource, tag_change, tag_list
from lifecycle.rehearsal.provider.rules import Rule


class NetworkPart(Resource):
    """What EC2 knows by an id of its own, and finds by its tags."""

    invented: ClassVar[frozenset[str]] = frozenset()
    kind: ClassVar[str]

    def found(self, ask: Callable[[], list[dict[str, Any]]]) -> dict[str, Any] | None:
        """The one thing of the answer; None when EC2 knows no such thing."""
        try:
            found = ask()
        except ClientError as error:
            if is_gone(error):
                return None
            raise
        return found[0] if found else None

    def tagged(self, inputs: Properties) -> list[dict[str, Any]]:
        """The tags of what is made, as a request has them."""
        tags = tag_list(inputs.get("tags"))
        return [{"ResourceType": self.kind, "Tags": tags}] if tags else []

    def retag(self, resource_id: str, old: Properties, new: Properties) -> None:
        put, gone = tag_change(old, new)
        if gone:
            self._clients["ec2"].delete_tags(Resources=[resource_id], Tags=[{"Key": key} for key in gone])
        if put:
            self._clients["ec2"].create_tags(Resources=[resource_id], Tags=tag_list(put))


def _is_block(text: str, shortest: int, longest: int) -> bool:
    try:
        return shortest <= ipaddress.IPv4Network(text).prefixlen <= longest
    except ValueError:
        return False


def block(path: str, shortest: int = 16, longest: int = 28) -> Rule:
    """An IPv4 network in CIDR notation, without host bits."""
    return Rule(
        path=path,
        holds=lambda text: _is_block(text, shortest, longest),
        expected=f"must be an IPv4 network of /{shortest} to /{longest}, without host bits",
    )


def arn_of(kind: str, resource_id: str, owner: str | None) -> str:
    """The ARN of a part; EC2 does not tell it of each kind."""
    return f"arn:aws:ec2::{owner or ''}:{kind}/{resource_id}"


def unless_gone(ask: Callable[[], Any]) -> None:
    """Do it; fine where there is nothing left to do it to."""
    try:
        ask()
    except ClientError as error:
        if not is_gone(error):
            raise


def is_gone(error: ClientError) -> bool:
    """Whether EC2 says that it knows no such thing."""
    return ".NotFound" in error.response["Error"]["Code"] or error.response["Error"]["Code"].endswith("NotFound")
