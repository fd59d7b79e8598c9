"""A network runs where it was asked to, in a few batch sizes, when it is its turn; what is no network is refused by name."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer.backends.onnx import session
from analyzer.backends.onnx.provider import CPU, CUDA, PLUGIN, Provider, find_provider
from analyzer.backends.onnx.session import Engine, Network
from analyzer.backends.onnx.spare import GivenUp
from analyzer.backends.onnx.turns import Turns, Urgency
from analyzer.contract import Device
from analyzer.errors import ExitCode, Mismatch, OutOfMemory
from tests.unit.analyzer import onnx_fakes

ENGINE = Engine()
ROWS = np.arange(21 * 4, dtype=np.float32).reshape(21, 4)


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return onnx_fakes.echo(tmp_path_factory.mktemp("echo") / "echo.onnx", ["n", 4])


@pytest.fixture
def network(echo: Path) -> Network:
    return ENGINE.open(echo, Urgency.DETECT)


def short_of_memory(limit: int) -> Callable[[int], None]:
    def check(rows: int) -> None:
        if rows > limit:
            raise RuntimeError(f"Failed to allocate memory for requested buffer of size {rows}")

    return check


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (3, [4]), (16, [16]), (21, [16, 8]), (18, [16, 2])])
def test_only_batches_of_a_bucket_reach_the_session(
    network: Network, spy: onnx_fakes.Spies, count: int, sizes: list[int]
) -> None:
    seen = spy(network)
    np.testing.assert_array_equal(network.run_rows(ROWS[:count])[0], ROWS[:count])
    assert [len(feeds["images"]) for feeds in seen] == sizes


def test_export_with_a_fixed_batch_runs_in_that_one(tmp_path: Path, spy: onnx_fakes.Spies) -> None:
    network = ENGINE.open(onnx_fakes.echo(tmp_path / "fixed.onnx", [3, 4]), Urgency.DETECT)
    seen = spy(network)
    np.testing.assert_array_equal(network.run_rows(ROWS[:4])[0], ROWS[:4])
    assert [len(feeds["images"]) for feeds in seen] == [3, 3]


def test_too_little_memory_halves_the_batch_and_is_remembered(network: Network, spy: onnx_fakes.Spies) -> None:
    seen = spy(network, before=short_of_memory(4))
    np.testing.assert_array_equal(network.run_rows(ROWS[:10])[0], ROWS[:10])
    assert [len(feeds["images"]) for feeds in seen] == [16, 8, 4, 4, 2]
    assert network.buckets == (1, 2, 4)
    np.testing.assert_array_equal(network.run_rows(ROWS)[0], ROWS)
    assert {len(feeds["images"]) for feeds in seen[5:]} == {1, 4}


def test_too_little_memory_for_one_row_may_be_tried_again_elsewhere(network: Network, spy: onnx_fakes.Spies) -> None:
    spy(network, before=short_of_memory(0))
    with pytest.raises(OutOfMemory, match="more memory on CPUExecutionProvider") as caught:
        network.run_rows(ROWS)
    assert (caught.value.code, caught.value.exit_code) == ("out-of-memory", ExitCode.INTERRUPTED)


def test_what_can_be_spared_goes_when_one_row_lacks_memory_and_not_before(echo: Path, spy: onnx_fakes.Spies) -> None:
    engine = Engine()
    spared = engine.open(echo, Urgency.CAPTION, can_be_spared=True)
    network = engine.open(echo, Urgency.DETECT)
    seen = spy(network, before=short_of_memory(1))
    np.testing.assert_array_equal(network.run_rows(ROWS[:4])[0], ROWS[:4])
    assert [len(feeds["images"]) for feeds in seen] == [4, 2, 1, 1, 1, 1]
    assert spared.run_rows(ROWS[:1])[0].shape == (1, 4), "smaller batches came first"
    tried = spy(network, before=lambda rows: short_of_memory(0)(rows) if engine.spare.is_there else None)
    np.testing.assert_array_equal(network.run_rows(ROWS[:2])[0], ROWS[:2])
    assert [len(feeds["images"]) for feeds in tried] == [1, 1, 1]
    assert not engine.spare.is_there
    for run in (lambda: spared.run_rows(ROWS[:1]), spared.binding):
        with pytest.raises(GivenUp):
            run()
    spy(network, before=short_of_memory(0))
    with pytest.raises(OutOfMemory) as caught:
        network.run_rows(ROWS[:1])
    assert caught.value.exit_code == ExitCode.INTERRUPTED


def test_network_that_does_not_fit_is_loaded_without_what_can_be_spared(
    echo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, real = Engine(), session.load_session
    engine.open(echo, Urgency.CAPTION, can_be_spared=True)

    def load(path: Path, provider: Provider, urgency: Urgency) -> Any:
        if engine.spare.is_there:
            raise OutOfMemory("out-of-memory", "too little")
        return real(path, provider, urgency)

    monkeypatch.setattr(session, "load_session", load)
    assert engine.open(echo, Urgency.DETECT).run_rows(ROWS)[0].shape == ROWS.shape


def test_each_batch_that_will_be_used_runs_once_at_load_on_a_gpu(
    echo: Path, tmp_path: Path, spy: onnx_fakes.Spies, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {Urgency.DETECT: [8, 4, 2, 1], Urgency.ATTRIBUTES: [16, 8, 4, 2, 1], Urgency.CAPTION: [1]}
    fixed = onnx_fakes.echo(tmp_path / "fixed.onnx", [32, 4])
    for urgency, sizes in wanted.items():
        for path, runs in ((echo, sizes), (fixed, [32])):
            network = ENGINE.open(path, urgency)
            seen = spy(network)
            network.warm_up((4,))
            assert seen == []
            monkeypatch.setattr(network, "_provider", Provider(name=CUDA))
            network.warm_up((4,))
            assert [feeds["images"].shape for feeds in seen] == [(size, 4) for size in runs]


def test_half_precision_stays_inside_the_network(tmp_path: Path) -> None:
    network = ENGINE.open(onnx_fakes.echo(tmp_path / "half.onnx", ["n", 4], kind=onnx_fakes.HALF), Urgency.DETECT)
    (found,) = network.run_rows(ROWS[:3] / 3)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, (ROWS[:3] / 3).astype(np.float16))


def test_input_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Mismatch, match=r"`images` of type tensor\(string\)") as caught:
        ENGINE.open(onnx_fakes.echo(tmp_path / "text.onnx", ["n"], kind=onnx_fakes.TEXT), Urgency.DETECT)
    assert caught.value.code == "model-signature"


def test_what_the_runtime_refuses_names_the_file(network: Network) -> None:
    with pytest.raises(Mismatch, match=r"echo\.onnx` failed") as caught:
        network.run_rows(np.zeros((1, 5), np.float32))
    assert caught.value.code == "model-failed"


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_network_that_would_run_on_the_cpu_instead_is_refused(echo: Path) -> None:
    """The CPU build of the runtime takes the name of the CUDA provider and says nothing."""
    with pytest.raises(
        Mismatch, match=r"would run on CPUExecutionProvider, and CUDAExecutionProvider is asked"
    ) as caught:
        Engine(provider=Provider(name=CUDA)).open(echo, Urgency.DETECT)
    assert (caught.value.code, caught.value.exit_code) == ("gpu-unused", ExitCode.MISMATCH)
    assert "libonnxruntime_providers_cuda*.so" in caught.value.message


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_provider_that_fails_is_not_replaced_by_the_cpu(echo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Mismatch, match=f"would run on {CPU}, and {PLUGIN} is asked for: .*Unknown Provider") as caught:
        Engine(provider=Provider(name=PLUGIN)).open(echo, Urgency.DETECT)
    assert (caught.value.code, capfd.readouterr()) == ("gpu-unused", ("", ""))


def test_cuda_without_a_provider_is_refused_and_auto_takes_the_cpu(tmp_path: Path) -> None:
    assert find_provider(Device.AUTO, mount=None) == find_provider(Device.CPU, mount=tmp_path) == Provider(name=CPU)
    for mount, said in ((None, "no runtime is mounted"), (tmp_path, f"`{tmp_path}` holds no")):
        with pytest.raises(Mismatch, match=said) as caught:
            find_provider(Device.CUDA, mount=mount)
        assert caught.value.code == "gpu-unused"


def test_plugin_library_that_does_not_load_is_refused_with_the_reason(tmp_path: Path) -> None:
    library = tmp_path / "site-packages" / "onnxruntime_ep_cuda" / "libonnxruntime_providers_cuda_plugin.so"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"no library")
    with pytest.raises(Mismatch, match=r"cuda_plugin\.so` does not load: .*file too short") as caught:
        find_provider(Device.CUDA, mount=tmp_path)
    assert caught.value.code == "gpu-unused"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a.pt", "model-pickled"),
        ("mivolo.pth.tar", "model-pickled"),
        ("model.onnx.PTH", "model-pickled"),
        ("pytorch_model.bin", "model-pickled"),
        ("weights.tar", "model-pickled"),
        ("a.engine", "model-format"),
    ],
)
def test_what_runs_code_when_it_is_read_is_refused_by_name(name: str, code: str) -> None:
    with pytest.raises(Mismatch, match=name) as caught:
        ENGINE.open(Path("/nowhere") / name, Urgency.DETECT)
    assert caught.value.code == code


def test_file_that_is_cut_short_is_refused(echo: Path, tmp_path: Path) -> None:
    for name, content in (("cut.onnx", echo.read_bytes()[:60]), ("no.onnx", b"no network"), ("empty.onnx", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Mismatch, match=name) as caught:
            ENGINE.open(tmp_path / name, Urgency.DETECT)
        assert caught.value.code in {"model-unloadable", "model-signature"}


def test_detector_goes_first_of_those_that_wait() -> None:
    turns, order, threads = Turns(), [], []

    def take(urgency: Urgency, name: str) -> None:
        with turns.take(urgency):
            order.append(name)

    wanted = [(Urgency.CAPTION, "caption"), (Urgency.ATTRIBUTES, "age"), (Urgency.DETECT, "a"), (Urgency.DETECT, "b")]
    with turns.take(Urgency.CAPTION):
        for waiting, each in enumerate(wanted, start=1):
            threads.append(threading.Thread(target=take, args=each))
            threads[-1].start()
            until(lambda waiting=waiting: turns.waiting == waiting)
    for thread in threads:
        thread.join(10)
    assert order == ["a", "b", "age", "caption"]


def test_signal_during_the_wait_leaves_no_one_behind_it() -> None:
    turns = Turns()
    turns._changed.wait_for = stop_once(turns._changed.wait_for)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt), turns.take(Urgency.DETECT):
        pytest.fail("a turn that nobody waited for")
    with turns.take(Urgency.CAPTION):
        assert turns.waiting == 0


def stop_once(real: Callable[..., Any]) -> Callable[..., Any]:
    calls: list[Mapping[str, Any]] = []

    def wait_for(*arguments: Any) -> Any:
        calls.append({})
        if len(calls) == 1:
            raise KeyboardInterrupt
        return real(*arguments)

    return wait_for


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline_s
        os.sched_yield()
