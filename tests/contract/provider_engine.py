"""What the Pulumi engine asks a provider, asked of the rehearsal's in the emulator's account; and how a provider is killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from botocore.client import BaseClient
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2

from lifecycle.rehearsal.emulator.launch import Emulator
from lifecycle.rehearsal.provider.servicer import AwsProvider, _properties
from tests.contract.provider_account import REGION, Properties
from tests.contract.provider_cases import Case
from tests.rehearsal.stage_parts import Aws

# What a diff says where nothing differs.
DONE = provider_pb2.DiffResponse.DIFF_NONE


class Aborted(Exception):
    """What the engine is told of a failure."""


class _Context:
    """The call of the engine."""

    def set_trailing_metadata(self, metadata: Any) -> None:
        """Beside the failure of what exists and is not ready."""

    def abort(self, code: grpc.StatusCode, details: str) -> None:
        raise Aborted(f"{code}: {details}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A resource by its id, with the inputs that made it and the properties that the engine keeps."""

    id: str
    inputs: Properties
    properties: Properties


class Engine:
    """Asks the provider what the Pulumi engine asks it."""

    def __init__(self, provider: AwsProvider, aws: Aws) -> None:
        self._provider, self.aws = provider, aws
        self._samples: dict[str, Properties] = {}

    def sample(self, case: Case) -> Properties:
        """Inputs of which nothing is made, the same for all who only ask about them."""
        if case.token not in self._samples:
            self._samples[case.token] = case.inputs(self.aws)
        return dict(self._samples[case.token])

    def failures(self, token: str, inputs: Properties) -> dict[str, str]:
        """The reasons of the check by property."""
        answer = self._provider.Check(provider_pb2.CheckRequest(urn=_urn(token), news=_struct(inputs)), _Context())
        return {failure.property: failure.reason for failure in answer.failures}

    def create(self, case: Case) -> Made:
        return self.create_from(case, case.inputs(self.aws))

    def create_from(self, case: Case, inputs: Properties) -> Made:
        assert self.failures(case.token, inputs) == {}
        request = provider_pb2.CreateRequest(urn=_urn(case.token), properties=_struct(inputs))
        answer = self._provider.Create(request, _Context())
        return Made(id=answer.id, inputs=inputs, properties=_properties(answer.properties))

    def read(self, case: Case, made: Made, *, known: bool = True) -> Made | None:
        """As a refresh, or as an import where nothing is `known`."""
        given = {"inputs": _struct(made.inputs), "properties": _struct(made.properties)} if known else {}
        answer = self._provider.Read(provider_pb2.ReadRequest(id=made.id, urn=_urn(case.token), **given), _Context())
        if not answer.id:
            return None
        return Made(id=answer.id, inputs=_properties(answer.inputs), properties=_properties(answer.properties))

    def diff(self, case: Case, old: Properties, new: Properties) -> Any:
        request = provider_pb2.DiffRequest(urn=_urn(case.token), old_inputs=_struct(old), news=_struct(new))
        return self._provider.Diff(request, _Context())

    def update(self, case: Case, made: Made, new: Properties) -> Made:
        assert self.failures(case.token, new) == {}
        request = provider_pb2.UpdateRequest(
            id=made.id,
            urn=_urn(case.token),
            olds=_struct(made.properties),
            old_inputs=_struct(made.inputs),
            news=_struct(new),
        )
        properties = _properties(self._provider.Update(request, _Context()).properties)
        return Made(id=properties[case.later] if case.later else made.id, inputs=new, properties=properties)

    def latest(self, case: Case, made: Made) -> str:
        """The id by which it is known after an update."""
        return made.id if not case.later else f"{made.id.rpartition(':')[0]}:{int(made.id.rpartition(':')[2]) + 1}"

    def delete(self, case: Case, made: Made) -> None:
        request = provider_pb2.DeleteRequest(
            id=made.id, urn=_urn(case.token), properties=_struct(made.properties), old_inputs=_struct(made.inputs)
        )
        self._provider.Delete(request, _Context())


@contextmanager
def engine_on(emulator: Emulator) -> Iterator[Engine]:
    """The engine with the rehearsal's provider in the emulator's account."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        provider = AwsProvider({"AWS_ENDPOINT_URL": emulator.endpoint, "AWS_REGION": REGION})
        provider.Configure(provider_pb2.ConfigureRequest(), _Context())
        yield Engine(provider, Aws(emulator.endpoint))


def _urn(token: str) -> str:
    return f"urn:pulumi:test::vision::{token}::one"


def _struct(properties: Properties) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(properties)
    return struct


class Killed(Exception):
    """The provider is gone."""


@contextmanager
def killed_after(calls: int) -> Iterator[None]:
    """Let that many changes reach AWS, and end the provider before the next."""
    made, call = 0, BaseClient._make_api_call

    def counted(client: BaseClient, operation: str, parameters: Any) -> Any:
        nonlocal made
        if not operation.startswith(("Get", "List", "Describe", "Head")):
            made += 1
            if made > calls:
                raise Killed
        return call(client, operation, parameters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", counted)
        yield
