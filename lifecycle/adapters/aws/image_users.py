"""The scan of everything that names images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from lifecycle.adapters.aws import image_sources
from lifecycle.adapters.aws.image_sources import Found
from lifecycle.adapters.aws.scanning import read_source
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.usage import Unread, UseReport


class AwsImageUsers:
    """`ports.ImageUsers` by the APIs of Batch, ECS, EC2 and SSM."""

    def __init__(self, session: AwsSession, repository_name: str) -> None:
        self._session, self._name = session, repository_name
        self._task_definitions: dict[str, list[str]] = {}

    def scan(self, *, template_versions: int) -> UseReport:
        # What each source is called, which service tells of it, and how it is read.
        sources: Mapping[str, tuple[str, Callable[[Any, Found], None]]] = {
            "job definitions": ("batch", image_sources.job_definitions),
            "jobs": ("batch", image_sources.jobs),
            "task definitions": ("ecs", partial(image_sources.task_definitions, known=self._task_definitions)),
            "tasks": ("ecs", image_sources.tasks),
            "AMIs": ("ec2", image_sources.amis),
            "launch templates": ("ec2", partial(image_sources.launch_templates, newest=template_versions)),
            "parameters": ("ssm", image_sources.parameters),
        }
        with ThreadPoolExecutor(max_workers=len(sources)) as pool:
            results = list(pool.map(lambda item: self._read(item[0], *item[1]), sources.items()))
        return UseReport(
            uses=tuple(use for one in results if isinstance(one, Found) for use in one.uses),
            unread=tuple(one for one in results if isinstance(one, Unread)),
        )

    def _read(self, name: str, service: str, read: Callable[[Any, Found], None]) -> Found | Unread:
        return read_source(name, Found(self._name), lambda into: read(self._session.client(service), into))
