"""botocore clients of the emulator, and the guard that keeps the provider away from AWS."""

import ipaddress
from collections.abc import Mapping
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config
from botocore.loaders import create_loader

_CONFIG = Config(
    retries={"total_max_attempts": 1},
    s3={"addressing_style": "path"},
    max_pool_connections=16,
    user_agent_extra="pulumi-resource-aws",
)
# What AWS's services take and answer: megabytes, which every session after the first finds read.
_DESCRIPTIONS = create_loader()
_SERVICES = ("batch", "dynamodb", "ec2", "ecr", "iam", "logs", "s3", "sqs")


class EndpointRefused(Exception):
    """The endpoint is not on this machine."""


def loopback_endpoint(environment: Mapping[str, str]) -> str:
    """`AWS_ENDPOINT_URL`; raises `EndpointRefused` unless it is an address of this machine's loopback."""
    url = environment.get("AWS_ENDPOINT_URL", "")
    host = urlsplit(url).hostname or ""
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise EndpointRefused(
            f"the rehearsal's provider acts on a loopback endpoint only, AWS_ENDPOINT_URL is `{url or 'not set'}`"
        )
    return url


class Clients:
    """Clients by service name, made once each; the engine asks from several threads."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._endpoint = loopback_endpoint(environment)
        self._region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
        self._session = _session()
        self._made: dict[str, Any] = {}
        self._lock = Lock()

    def __getitem__(self, service: str) -> Any:
        with self._lock:
            if service not in self._made:
                self._made[service] = self._session.create_client(
                    service, region_name=self._region, endpoint_url=self._endpoint, config=_CONFIG
                )
            return self._made[service]


def read_descriptions() -> None:
    """Read what sessions need to know of the services, so that none of this process or of its forks does it again."""
    session = _session()
    for service in _SERVICES:
        session.create_client(service, region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")


def _session() -> botocore.session.Session:
    session = botocore.session.Session()
    session.register_component("data_loader", _DESCRIPTIONS)
    return session
