"""The other servers of a rehearsal run for real and leave nothing behind."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import psycopg
import pytest

from lifecycle.rehearsal import leftovers
from lifecycle.rehearsal.child import PartFailed
from lifecycle.rehearsal.emulator.containers import jobs_supported
from lifecycle.rehearsal.services import postgres as postgres_module
from lifecycle.rehearsal.services.postgres import Postgres, postgres_supported
from lifecycle.rehearsal.services.registry import (
    RunningRegistry,
    debian_registry,
    registry_supported,
    standin_registry,
    start_registry,
)
from tests.rehearsal.stage_parts import import_tiny, tiny_tar, until

pytestmark = pytest.mark.rehearsal


@pytest.fixture
def rehearsal() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def _postgres_here() -> None:
    if why := postgres_supported():
        pytest.skip(why)


@pytest.mark.usefixtures("_postgres_here")
def test_postgres_finds_the_nearest_vector(tmp_path: Path, rehearsal: str) -> None:
    with Postgres(tmp_path, rehearsal) as postgres, psycopg.connect(postgres.dsn) as connection:
        connection.execute("CREATE TABLE t (name text, v halfvec(2))")
        connection.execute("INSERT INTO t VALUES ('near', '[1,1]'), ('far', '[9,9]')")
        row = connection.execute("SELECT name FROM t ORDER BY v <-> '[0,0]' LIMIT 1").fetchone()
    assert row == ("near",)


@pytest.mark.usefixtures("_postgres_here")
def test_postgres_wants_its_password_and_runs_without_root(tmp_path: Path, rehearsal: str) -> None:
    with Postgres(tmp_path, rehearsal) as postgres:
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"postgresql://capctl:wrong@127.0.0.1:{postgres.port}/capctl")
        (found,) = [one for one in leftovers.find(rehearsal) if "/postgres -D" in one.detail]
        assert Path(f"/proc/{found.name}").stat().st_uid != 0
    assert leftovers.find(rehearsal, tmp_path) == []


@pytest.mark.usefixtures("_postgres_here")
def test_postgres_runs_from_a_checkout_that_only_its_owner_may_enter(
    tmp_path: Path, rehearsal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = postgres_module._programs()
    assert programs
    site, home = programs.parents[2], programs.parent
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    # Its libraries lie beside the package.
    for part in (home, *site.glob(f"{home.parent.name}.libs")):
        shutil.copytree(part, private / part.relative_to(site), symlinks=True)
    monkeypatch.setattr(postgres_module, "_programs", lambda: private / programs.relative_to(site))
    with Postgres(tmp_path / "state", rehearsal) as postgres, psycopg.connect(postgres.dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.usefixtures("_postgres_here")
def test_postgres_on_a_taken_port_fails_with_its_log(tmp_path: Path, rehearsal: str) -> None:
    with Postgres(tmp_path / "one", rehearsal) as first, pytest.raises(PartFailed) as failed:
        Postgres(tmp_path / "two", rehearsal, port=first.port)
    assert any("Address already in use" in line for line in failed.value.details)


@pytest.fixture(params=["real", "stand-in"])
def registry(request: pytest.FixtureRequest, tmp_path: Path, rehearsal: str) -> RunningRegistry:
    if request.param == "stand-in":
        return standin_registry(tmp_path, rehearsal)
    if why := registry_supported():
        pytest.skip(why)
    return debian_registry(tmp_path, rehearsal)


def test_container_engine_pushes_and_pulls(registry: RunningRegistry) -> None:
    if why := jobs_supported():
        pytest.skip(why)
    import docker

    engine = docker.from_env()
    name = f"{registry.address}/team/tiny"
    try:
        import_tiny(f"{name}:1")
        pushed = [json.loads(line) for line in engine.images.push(name, tag="1").splitlines()]
        digest = next(line["aux"]["Digest"] for line in pushed if "aux" in line)
        engine.images.remove(f"{name}:1", force=True)
        output = engine.containers.run(f"{name}@{digest}", ["/bin/sh", "-c", "echo pulled"], remove=True)
        assert output == b"pulled\n"
        engine.images.remove(f"{name}@{digest}", force=True)
    finally:
        registry.close()
        engine.close()


def test_image_of_another_program_is_not_left_over_at_a_port_that_was_a_rehearsals(rehearsal: str) -> None:
    if why := jobs_supported():
        pytest.skip(why)
    import docker

    engine, address = docker.from_env(), f"{rehearsal}.invalid:5000"
    engine.api.import_image_from_data(tiny_tar(), repository=f"{address}/team/app", tag="1")
    try:
        assert leftovers.remove("nobody", registry=address) == []
        assert engine.images.get(f"{address}/team/app:1")
    finally:
        engine.images.remove(f"{address}/team/app:1")
        engine.close()


def test_images_named_after_a_registry_are_left_over_and_no_others(tmp_path: Path, rehearsal: str) -> None:
    if why := jobs_supported() or registry_supported():
        pytest.skip(why)
    import docker

    engine, other = docker.from_env(), f"capctl-test/{rehearsal}:1"
    with debian_registry(tmp_path, rehearsal) as registry:
        name = f"{registry.address}/team/tiny"
        import_tiny(f"{name}:1")
        image = engine.images.get(f"{name}:1")
        image.tag(other)
        engine.images.push(name, tag="1")
        engine.images.remove(f"{name}:1", noprune=True)
        digest = engine.images.pull(name, tag="1").attrs["RepoDigests"][0]
        engine.images.remove(f"{name}:1", noprune=True)
        engine.images.pull(digest)
        found = leftovers.find("nobody", registry=registry.address)
        assert {(one.kind, one.name) for one in found} == {("image", digest)}
        image.tag(name, "2")
        assert leftovers.remove("nobody", registry=registry.address) == []
    assert engine.images.get(other).id == image.id
    engine.images.remove(other)
    engine.close()


def test_what_a_person_started_on_a_terminal_is_not_left_over(rehearsal: str) -> None:
    main, terminal = os.openpty()
    environment = {**os.environ, "CAPCTL_REHEARSAL": rehearsal}
    with subprocess.Popen(
        ["setsid", "--ctty", "sleep", "300"], env=environment, stdin=terminal, stdout=terminal, stderr=terminal
    ) as process:
        until(lambda: b"sleep\0" in Path(f"/proc/{process.pid}/cmdline").read_bytes()[:6])
        assert leftovers.find(rehearsal) == []
        process.kill()
    os.close(main)
    os.close(terminal)


def test_reader_of_its_output_and_the_script_around_it_are_not_left_over(rehearsal: str) -> None:
    """Without a terminal, as in a pipeline of CI, whose script went onto a stage that was kept."""
    environment = {**os.environ, "CAPCTL_REHEARSAL": rehearsal}
    remove = f"from lifecycle.rehearsal import leftovers; print(leftovers.remove({rehearsal!r}))"
    script = f"""
        sleep 300 & own=$!
        {shlex.quote(sys.executable)} -c {shlex.quote(remove)} | (cat; echo read to the end)
        kill $own && echo "the script's own lived"
    """
    with subprocess.Popen(["sleep", "300"], env=environment, start_new_session=True) as part:
        done = subprocess.run(
            ["sh", "-c", script],
            cwd=Path(__file__).parents[2],
            env=environment,
            start_new_session=True,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.splitlines() == ["[]", "read to the end", "the script's own lived"], done.stderr
        assert part.wait(10) == -signal.SIGKILL


def test_registry_ends_with_its_block(tmp_path: Path, rehearsal: str) -> None:
    started = start_registry(tmp_path, rehearsal)
    started.close()
    assert leftovers.find(rehearsal, tmp_path) == []


def test_leftovers_of_a_killed_run_are_found_and_removed(tmp_path: Path, rehearsal: str) -> None:
    environment = {**os.environ, "CAPCTL_REHEARSAL": rehearsal}
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("private namespaces need root and `unshare`")
    script = f"mount -t tmpfs tmpfs {tmp_path} && exec env -i sleep 300"
    command = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", script]
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        found = leftovers.find(rehearsal, tmp_path)
        assert {one.kind for one in found} == {"process"}
        assert leftovers.remove(rehearsal, tmp_path) == []
    finally:
        process.wait(10)
    assert leftovers.find(rehearsal, tmp_path) == []
