"""Running a program on Pulumi's own mocks."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import pulumi
from pulumi.runtime.mocks import MockCallArgs, MockResourceArgs, Mocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What a program registered."""

    type: str
    name: str
    inputs: dict[str, Any]


def arn_of(kind: str, name: str) -> str:
    """The ARN that the mocks give a resource."""
    return f"arn:aws:mock:eu-west-1:123456789012:{kind}/{name}"


class _Recorder(Mocks):
    def __init__(self) -> None:
        self.resources: list[Resource] = []

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.resources.append(Resource(type=args.typ, name=args.name, inputs=dict(args.inputs)))
        kind = args.typ.rpartition(":")[2]
        return f"{kind}-{args.name}", {
            **args.inputs,
            "arn": arn_of(kind, args.name),
            "repositoryUrl": "registry/vision",
            "url": f"https://{kind}/{args.name}",
        }

    def call(self, args: MockCallArgs) -> NoReturn:
        raise AssertionError(f"the program asked for `{args.token}`; programs declare and ask nothing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The resources in the order in which they were registered."""

    resources: tuple[Resource, ...]

    def of(self, kind: str) -> list[Resource]:
        """Resources whose type ends with `:kind`."""
        return [resource for resource in self.resources if resource.type.endswith(f":{kind}")]

    def only(self, kind: str) -> dict[str, Any]:
        """The inputs of the one resource of a kind."""
        (found,) = self.of(kind)
        return found.inputs


def record(program: Callable[[], None]) -> Recording:
    """Run `program` to its end."""
    recorder = _Recorder()
    asyncio.set_event_loop(asyncio.new_event_loop())
    pulumi.runtime.set_mocks(recorder, project="capctl", stack="test", preview=False)
    pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]
    return Recording(resources=tuple(recorder.resources))


def statements(policy: str) -> list[dict[str, Any]]:
    """Statements of a policy document."""
    found: list[dict[str, Any]] = json.loads(policy)["Statement"]
    return found
