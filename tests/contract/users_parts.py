"""What the suites of `ports.AmiUsers` and `ports.ImageUsers` have in common."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import EndpointConnectionError

from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.usage import Use, UseReport
from lifecycle.ports.ami_users import AmiUsers
from lifecycle.ports.image_users import ImageUsers
from tests.fakes.users import FakeUsers


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """`use` lets a parameter of the account name an AMI or an image."""

    users: AmiUsers | ImageUsers
    use: Callable[[str], object]


class Aws:
    """The account of an emulator, by its clients, and who reads its uses."""

    def __init__(self, session: AwsSession, users: AmiUsers | ImageUsers, *, base_ami: str) -> None:
        self.session, self.users, self.base_ami = session, users, base_ami

    def __getattr__(self, service: str) -> Any:
        return self.session.client(service)

    def parameter(self, value: str) -> None:
        self.ssm.put_parameter(Name=f"/somebody/{uuid.uuid4().hex}", Value=value, Type="String")

    def scan(self, *, template_versions: int = 1) -> UseReport:
        return self.users.scan(template_versions=template_versions)

    def kinds(self, of: str) -> set[str]:
        report = self.scan()
        assert report.unread == ()
        return {use.kind for use in report.by_id().get(of, ())}


def in_memory() -> Account:
    users = FakeUsers()
    return Account(users=users, use=lambda of: users.uses.append(Use(of=of, kind="parameter", name="/somebody/one")))


def require_use_told(account: Account, *, used: str, unused: str) -> None:
    account.use(used)
    found = account.users.scan(template_versions=3)
    assert found.unread == ()
    assert [use.kind for use in found.by_id()[used]] == ["parameter"]
    assert unused not in found.by_id()


def require_trouble_told(aws: Aws, service: str, operation: str, source: str) -> None:
    """What cannot be read is told by its source, and nothing is raised."""
    client = aws.session.client(service)

    def fail(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="http://nowhere")

    client.meta.events.register(f"before-call.{service}.{operation}", fail)
    try:
        report = aws.scan()
    finally:
        client.meta.events.unregister(f"before-call.{service}.{operation}", fail)
    assert report.unread[0].source == source
    assert "did not answer" in report.unread[0].why
