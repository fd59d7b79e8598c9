"""Answers of EC2 in pages, which moto gives whole or cuts."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.launch_templates import LaunchTemplate
from moto.ec2.responses.launch_templates import LaunchTemplates

_MOST_TEMPLATES = 200
_ALL = 10**9


class RehearsalTemplate(LaunchTemplate):  # type: ignore[misc]
    """A launch template whose tags can change."""

    @property
    def tags(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self.get_tags()
        return found

    @tags.setter
    def tags(self, _: list[dict[str, str]]) -> None:
        """They are those of the template's id."""


class PagedTemplates(LaunchTemplates):  # type: ignore[misc]
    """The launch template calls; moto gives the first 15 and no token."""

    def describe_launch_templates(self) -> ActionResult:
        return _described(self, super().describe_launch_templates, "LaunchTemplates")

    def describe_launch_template_versions(self) -> ActionResult:
        # EC2 gives the newest versions of a template first.
        return _described(self, super().describe_launch_template_versions, "LaunchTemplateVersions", newest_first=True)


def page(items: Sequence[Any], *, most: int | None, token: str | None) -> tuple[Sequence[Any], str | None]:
    """The items of the page that `token` begins, at most `most` of them, and the token of the next page.

    Raises: EC2ClientError, for a token that nobody gave.
    """
    try:
        start = int(urlsafe_b64decode(token)) if token else 0
    except ValueError as error:
        code, message = "InvalidNextToken", f"The token '{token}' is not valid"
        raise EC2ClientError(code, message) from error
    end = len(items) if most is None else start + most
    return items[start:end], urlsafe_b64encode(str(end).encode()).decode() if end < len(items) else None


def paged(response: Any, result: dict[str, Any], key: str, *, default: int | None = None) -> ActionResult:
    """`result` with the asked page of the list at `key`."""
    most = response._get_int_param("MaxResults") or default
    items, token = page(result[key], most=most, token=response._get_param("NextToken"))
    return ActionResult({**result, key: items, **({"NextToken": token} if token else {})})


def _described(response: Any, describe: Any, key: str, *, newest_first: bool = False) -> ActionResult:
    asked = response.params
    # moto cuts its answer by this parameter and forgets the rest.
    response.params = {**asked, "MaxResults": _ALL}
    result: dict[str, Any] = describe().result
    response.params = asked
    if newest_first and (asked.get("LaunchTemplateId") or asked.get("LaunchTemplateName")):
        result[key] = sorted(result[key], key=lambda one: -one["VersionNumber"])
    return paged(response, result, key, default=_MOST_TEMPLATES)
