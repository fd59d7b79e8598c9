"""The provider protocol: what the engine asks, answered by the resource types."""

# ruff: noqa: ARG002, N802 - the protocol fixes names and arguments.
import json
from collections.abc import Callable, Mapping
from typing import Any

import grpc
from botocore.exceptions import BotoCoreError, ClientError
from google.protobuf import any_pb2, empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from lifecycle.rehearsal.provider.catalogue import resources
from lifecycle.rehearsal.provider.clients import Clients, EndpointRefused
from lifecycle.rehearsal.provider.resource import NotReady, Properties, Resource, changed, observed, whole_numbers
from lifecycle.rehearsal.provider.rules import failures, schema

VERSION = "7.51.1"


class AwsProvider(provider_pb2_grpc.ResourceProviderServicer):
    """Answers for the resource types of the catalogue; anything else fails its check, before anything is made."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._resources: dict[str, Resource] = {}

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetSchema(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetSchemaResponse(schema=json.dumps({"name": "aws", "version": VERSION, "resources": {}}))

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:
        try:
            self._resources = resources(Clients(self._environment))
        except EndpointRefused as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the rehearsal's provider has no function `{request.tok}`")

    def Check(self, request: Any, context: Any) -> Any:
        token = _token(request.urn)
        if token not in self._resources:
            failure = provider_pb2.CheckFailure(reason=f"the rehearsal's provider has no resource type `{token}`")
            return provider_pb2.CheckResponse(failures=[failure])
        resource = self._resources[token]
        found = failures(
            schema()[token],
            _properties(request.news),
            applied=resource.applied,
            invented=resource.invented,
            rules=resource.rules,
        )
        return provider_pb2.CheckResponse(
            inputs=request.news,
            # The engine shows the reason, and not always the property.
            failures=[
                provider_pb2.CheckFailure(property=one.property, reason=f"`{one.property}` {one.reason}")
                for one in found
            ],
        )

    def Diff(self, request: Any, context: Any) -> Any:
        old, new = _properties(request.old_inputs), _properties(request.news)
        names = changed(old, new)
        replaces = self._resources[_token(request.urn)].replaced_by(old, new) if names else set()
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if names else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=sorted(names),
            replaces=sorted(replaces),
            # Two resources cannot have one name at a time.
            deleteBeforeReplace="name" not in names,
        )

    def Create(self, request: Any, context: Any) -> Any:
        inputs = _properties(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=request.properties)

        def create() -> Any:
            resource = self._resources[_token(request.urn)]
            try:
                resource_id, computed = resource.create(inputs)
            except NotReady as error:
                _abort_not_ready(context, inputs, error)
            # The real provider reads what it made, and so needs the permissions for both.
            resource.read(resource_id)
            return provider_pb2.CreateResponse(id=resource_id, properties=_struct({**inputs, **computed}))

        return _answered(context, create)

    def Read(self, request: Any, context: Any) -> Any:
        def read() -> Any:
            token, known = _token(request.urn), _properties(request.inputs)
            actual = self._resources[token].read(request.id)
            if actual is None:
                return provider_pb2.ReadResponse()
            # Who imports has no inputs yet.
            inputs = _refreshed(token, known, actual) if known else _imported(self._resources[token], actual)
            properties = {**_properties(request.properties), **inputs, **_computed(actual, inputs)}
            return provider_pb2.ReadResponse(id=request.id, properties=_struct(properties), inputs=_struct(inputs))

        return _answered(context, read)

    def Update(self, request: Any, context: Any) -> Any:
        old, new = _properties(request.old_inputs), _properties(request.news)
        if request.preview:
            # An ARN outlives an update: what refers to it is not changed by it.
            return provider_pb2.UpdateResponse(properties=_struct({**_properties(request.olds), **new}))

        def update() -> Any:
            computed = self._resources[_token(request.urn)].update(request.id, old, new)
            return provider_pb2.UpdateResponse(properties=_struct({**_properties(request.olds), **new, **computed}))

        return _answered(context, update)

    def Delete(self, request: Any, context: Any) -> Any:
        def delete() -> Any:
            self._resources[_token(request.urn)].delete(request.id)
            return empty_pb2.Empty()

        return _answered(context, delete)


def _token(urn: str) -> str:
    """The resource type of `urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`."""
    return urn.split("::")[2].split("$")[-1]


def _properties(struct: Any) -> Properties:
    properties: Properties = whole_numbers(json_format.MessageToDict(struct))
    return properties


def _struct(properties: Properties) -> Any:
    struct = struct_pb2.Struct()
    struct.update(properties)
    return struct


def _refreshed(token: str, known: Properties, actual: Properties) -> Properties:
    """The inputs with the values that AWS has; of what has free names, such as tags, also those that nobody gave."""
    shapes = schema()[token]["properties"]
    free = {name for name, shape in shapes.items() if isinstance(shape, dict) and "values" in shape}
    inputs: Properties = observed(known, actual)
    return inputs | {name: actual[name] for name in free & known.keys() & actual.keys()}


def _imported(resource: Resource, actual: Properties) -> Properties:
    """The inputs that would have made what is there; what is empty is as good as not said."""
    applied = {path.partition(".")[0] for path in resource.applied}
    return {name: value for name, value in actual.items() if name in applied and value not in (None, "", [], {})}


def _computed(actual: Properties, inputs: Properties) -> Properties:
    return {name: value for name, value in actual.items() if name not in inputs}


def _answered(context: Any, ask: Callable[[], Any]) -> Any:
    """The answer, or AWS's own error as the diagnostic of the resource."""
    try:
        return ask()
    except (ClientError, BotoCoreError) as error:
        return context.abort(grpc.StatusCode.UNKNOWN, str(error))


def _abort_not_ready(context: Any, inputs: Properties, error: NotReady) -> None:
    """Tell the engine that the resource exists and must be kept in the state, but failed."""
    detail = any_pb2.Any()
    detail.Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=error.resource_id,
            properties=_struct({**inputs, **error.computed}),
            inputs=_struct(inputs),
            reasons=[error.reason],
        )
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=error.reason, details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, error.reason)
