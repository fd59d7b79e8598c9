"""What scans of an account have in common: pages, texts at any depth, versions of launch templates, parameters, sources that fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from lifecycle.adapters.aws.errors import translated
from lifecycle.domain.usage import Unread
from lifecycle.errors import CapctlError, Interrupted

Found = TypeVar("Found")

_PARAMETERS_AT_ONCE = 10  # the most that GetParameters takes


def read_source(name: str, into: Found, read: Callable[[Found], None]) -> Found | Unread:
    """`into` with what `read` put there; why not, where the source could not be read to its end."""
    try:
        with translated(f"reading {name}"):
            read(into)
    except Interrupted:
        raise
    except CapctlError as error:
        return Unread(source=name, why=error.message)
    except (KeyError, TypeError, ValueError) as error:
        # An answer in a shape that nobody foresaw tells nothing.
        return Unread(source=name, why=f"AWS's answer is not understood: {error!r}")
    return into


def pages(client: Any, call: str, *, size: int, **asked: Any) -> Iterator[dict[str, Any]]:
    """The pages of a call, as large as AWS gives them."""
    found: Iterator[dict[str, Any]] = iter(
        client.get_paginator(call).paginate(**asked, PaginationConfig={"PageSize": size})
    )
    return found


def texts(document: Any) -> Iterator[str]:
    """Every text in `document`, at whatever depth."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for value in document.values():
            yield from texts(value)
    elif isinstance(document, list):
        for value in document:
            yield from texts(value)


def managed(ec2: Any, operation: str) -> dict[str, Any]:
    """Ask for what AWS's services run in the account too, where this botocore knows of it."""
    known = ec2.meta.service_model.operation_model(operation).input_shape.members
    return {"IncludeManagedResources": True} if "IncludeManagedResources" in known else {}


def template_versions(ec2: Any, *, newest: int, named: Iterable[tuple[str, str]] = ()) -> Iterator[dict[str, Any]]:
    """Of each launch template the default and the latest version, the `newest` ones, and those `named` as (id or name, version)."""
    wanted: dict[str, set[int]] = {}
    for template, version in named:
        if version.isdigit():
            wanted.setdefault(template, set()).add(int(version))
    seen: dict[str, dict[int, dict[str, Any]]] = {}
    services = managed(ec2, "DescribeLaunchTemplateVersions")
    calls = "describe_launch_template_versions"
    for page in pages(ec2, calls, size=200, Versions=["$Latest", "$Default"], **services):
        for one in page["LaunchTemplateVersions"]:
            seen.setdefault(one["LaunchTemplateId"], {})[one["VersionNumber"]] = one
    for template, versions in seen.items():
        told = next(iter(versions.values()))
        chosen = dict(versions)
        # Numbers count from 1, so these are all of them; one more call for the others tells which there still are.
        if len(versions) < max(versions):
            others = pages(ec2, calls, size=200, LaunchTemplateId=template, **services)
            every = {each["VersionNumber"]: each for page in others for each in page["LaunchTemplateVersions"]}
            numbers = (
                {*sorted(every)[-newest:]}
                | wanted.get(template, set())
                | wanted.get(told.get("LaunchTemplateName", ""), set())
            )
            chosen |= {number: every[number] for number in numbers & every.keys()}
        yield from chosen.values()


def readable_parameters(ssm: Any) -> Iterator[tuple[str, str]]:
    """Name and value of every parameter that is no secret: nothing is started from one."""
    readable = [{"Key": "Type", "Option": "Equals", "Values": ["String", "StringList"]}]
    names = [
        one["Name"]
        for page in pages(ssm, "describe_parameters", size=50, ParameterFilters=readable)
        for one in page["Parameters"]
    ]
    return parameter_values(ssm, names)


def parameter_values(ssm: Any, names: list[str]) -> Iterator[tuple[str, str]]:
    """The values of parameters by the name that was asked for, its `:version` included."""
    for start in range(0, len(names), _PARAMETERS_AT_ONCE):
        asked = names[start : start + _PARAMETERS_AT_ONCE]
        for one in ssm.get_parameters(Names=asked)["Parameters"]:
            # One of another account is asked for by its ARN.
            told = {f"{name}{one.get('Selector', '')}" for name in (one["Name"], one.get("ARN", ""))}
            yield from ((name, one["Value"]) for name in told.intersection(asked))
