"""The provider's process and protocol: where it may act, how it starts, when it ends."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from lifecycle.rehearsal.child import listens
from lifecycle.rehearsal.provider.clients import EndpointRefused, loopback_endpoint
from lifecycle.rehearsal.provider.resource import changed, observed, whole_numbers
from lifecycle.rehearsal.provider.shim import NAME, start_provider

URN = "urn:pulumi:test::vision::capctl:release:Release$aws:ec2/launchTemplate:LaunchTemplate::vision-1"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:5000", "http://localhost:5000", "http://127.9.9.9", "http://[::1]:80"]
)
def test_loopback_is_accepted(url: str) -> None:
    assert loopback_endpoint({"AWS_ENDPOINT_URL": url}) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://batch.eu-west-1.amazonaws.com",
        "http://10.0.0.1",
        "http://127.0.0.1.example.org",
        "http://0.0.0.0:80",
    ],
)
def test_any_other_endpoint_is_refused(url: str) -> None:
    with pytest.raises(EndpointRefused):
        loopback_endpoint({"AWS_ENDPOINT_URL": url})


def test_observed_compares_only_what_was_asked_for() -> None:
    inputs = {"a": 1, "b": {"c": 2}, "d": [{"e": 3}], "f": 4}
    actual = {"a": 9, "b": {"c": 2, "x": 0}, "d": [{"e": 5, "y": 0}], "z": 0}
    assert observed(inputs, actual) == {"a": 9, "b": {"c": 2}, "d": [{"e": 5}], "f": 4}


def test_absent_equals_none_when_compared() -> None:
    assert changed({"a": None, "b": 1}, {"b": 2}) == {"b"}


def test_whole_numbers_lose_their_point() -> None:
    assert whole_numbers({"a": [1.0, 1.5, True]}) == {"a": [1, 1.5, True]}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the engine starts."""
    # Longer than the address of a socket can be.
    folder = tmp_path_factory.mktemp("a-folder-of-a-long-name" * 5) / "bin"
    standby = start_provider(folder, f"test-{uuid.uuid4().hex[:8]}")
    yield folder / NAME
    standby.stop()


@pytest.fixture
def process(program: Path) -> Iterator["subprocess.Popen[str]"]:
    """The provider as the engine starts it, in a group of its own."""
    environment = {**os.environ, "AWS_ENDPOINT_URL": "http://198.51.100.1", "AWS_REGION": "eu-west-1"}
    with subprocess.Popen(
        [str(program), "127.0.0.1:1"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as started:
        yield started
        started.kill()


def stub(process: "subprocess.Popen[str]") -> provider_pb2_grpc.ResourceProviderStub:
    assert process.stdout is not None
    return provider_pb2_grpc.ResourceProviderStub(grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}"))


def test_provider_prints_its_port_and_refuses_to_act_elsewhere(process: "subprocess.Popen[str]") -> None:
    provider = stub(process)
    assert provider.GetPluginInfo(struct_pb2.Struct()).version
    with pytest.raises(grpc.RpcError) as refused:
        provider.Configure(provider_pb2.ConfigureRequest())
    assert "loopback endpoint only, AWS_ENDPOINT_URL is `http://198.51.100.1`" in refused.value.details()


def test_unknown_resource_type_fails_its_check(process: "subprocess.Popen[str]") -> None:
    answer = stub(process).Check(provider_pb2.CheckRequest(urn=URN.replace("LaunchTemplate", "Balloon")))
    assert "no resource type" in answer.failures[0].reason


def test_preview_creates_nothing_and_says_so_with_the_inputs(process: "subprocess.Popen[str]") -> None:
    properties = struct_pb2.Struct()
    properties.update({"name": "vision-1"})
    answer = stub(process).Create(provider_pb2.CreateRequest(urn=URN, properties=properties, preview=True))
    assert (answer.id, answer.properties["name"]) == ("", "vision-1")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_it_quietly(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    stub(process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


def test_provider_ends_with_its_engine(program: Path) -> None:
    code = f"import subprocess,sys; p=subprocess.Popen([{str(program)!r}],stdout=subprocess.PIPE,text=True); "
    code += "print(p.pid, p.stdout.readline(), flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as engine:
        assert engine.stdout is not None
        pid = int(engine.stdout.readline().split()[0])
        provider = os.pidfd_open(pid)
        engine.kill()
    assert _ended(provider, timeout_s=20)


def test_provider_ends_with_what_the_engine_started(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    port = int(process.stdout.readline())
    assert listens(port)
    process.kill()
    # The pipe is closed once nobody has it any more.
    assert process.stdout.read() == ""
    assert not listens(port)


def test_each_engine_has_a_provider_of_its_own(program: Path) -> None:
    """With its own environment, whatever the one beside it has."""
    endpoints = ("http://198.51.100.1", "http://198.51.100.2")
    started = [
        subprocess.Popen([str(program)], env={"AWS_ENDPOINT_URL": url}, stdout=subprocess.PIPE, text=True)
        for url in endpoints
    ]
    for url, process in zip(endpoints, started, strict=True):
        with pytest.raises(grpc.RpcError) as refused:
            stub(process).Configure(provider_pb2.ConfigureRequest())
        assert f"`{url}`" in refused.value.details()
    for process in started:
        process.terminate()
        assert process.wait(20) == 0


def test_what_stands_by_ends_with_who_started_it(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from lifecycle.rehearsal.provider.shim import start_provider; "
    code += (
        f"print(start_provider(Path({str(tmp_path / 'bin')!r}), 'test-{uuid.uuid4().hex}').process.pid, flush=True); "
    )
    code += "sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starting:
        assert starting.stdout is not None
        standby = os.pidfd_open(int(starting.stdout.readline()))
        starting.kill()
    assert _ended(standby, timeout_s=20)


def _ended(pidfd: int, *, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    try:
        while time.monotonic() < deadline:
            try:
                signal.pidfd_send_signal(pidfd, 0)
            except ProcessLookupError:
                return True
            time.sleep(0.05)
        return False
    finally:
        os.close(pidfd)
