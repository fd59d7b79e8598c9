"""The scan of everything that names AMIs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from lifecycle.adapters.aws import ami_sources
from lifecycle.adapters.aws.ami_sources import Found
from lifecycle.adapters.aws.scanning import read_source
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.domain.usage import Unread, UseReport

# What each source is called, which service tells of it, and how it is read.
_SOURCES: Mapping[str, tuple[str, Callable[[Any, Found], None]]] = {
    "instances": ("ec2", ami_sources.instances),
    "Auto Scaling groups": ("autoscaling", ami_sources.scaling_groups),
    "launch configurations": ("autoscaling", ami_sources.launch_configurations),
    "compute environments": ("batch", ami_sources.compute_environments),
    "fleets": ("ec2", ami_sources.fleets),
    "Spot fleets": ("ec2", ami_sources.spot_fleets),
    "Spot requests": ("ec2", ami_sources.spot_requests),
    "parameters": ("ssm", ami_sources.parameters),
}


class AwsAmiUsers:
    """`ports.AmiUsers` by the APIs of EC2, Auto Scaling, Batch and SSM."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    def scan(self, *, template_versions: int) -> UseReport:
        found, unread = Found(), list[Unread]()
        with ThreadPoolExecutor(max_workers=len(_SOURCES)) as pool:
            reading = [pool.submit(self._read, name, service, read) for name, (service, read) in _SOURCES.items()]
            for future in reading:
                _merge(future.result(), found, unread)
        # Which versions count, and which parameters stand for AMIs, is known only now.
        templates = partial(ami_sources.template_versions, newest=template_versions, named=found.versions)
        _merge(self._read("launch templates", "ec2", templates), found, unread)
        resolve = partial(ami_sources.resolve, aliases=found.aliases)
        _merge(self._read("parameters that stand for AMIs", "ssm", resolve), found, unread)
        return UseReport(uses=tuple(found.uses), unread=tuple(unread))

    def _read(self, name: str, service: str, read: Callable[[Any, Found], None]) -> Found | Unread:
        return read_source(name, Found(), lambda into: read(self._session.client(service), into))


def _merge(read: Found | Unread, found: Found, unread: list[Unread]) -> None:
    if isinstance(read, Unread):
        unread.append(read)
        return
    found.uses.extend(read.uses)
    found.versions.update(read.versions)
    found.aliases.extend(read.aliases)
