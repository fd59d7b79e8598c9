"""boto3 clients of the emulator, and the guard that keeps the provider away from AWS."""

import ipaddress
from collections.abc import Mapping
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

_CONFIG = Config(
    retries={"total_max_attempts": 1},
    s3={"addressing_style": "path"},
    max_pool_connections=16,
    user_agent_extra="pulumi-resource-aws",
)


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
        self._session = boto3.Session(
            region_name=environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
        )
        self._made: dict[str, Any] = {}
        self._lock = Lock()

    def __getitem__(self, service: str) -> Any:
        with self._lock:
            if service not in self._made:
                self._made[service] = self._session.client(service, endpoint_url=self._endpoint, config=_CONFIG)
            return self._made[service]
