"""The base image: its Dockerfile, its tag and the context that it is built from."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from images.base.contract import read_contract
from images.base.dockerfile import base_tag, build_program, render_dockerfile
from images.base.lock import require_lock
from images.base.recipe import OfficialRoot, context_tar, plan_base, wheels_of
from images.base.trims import Trims
from images.errors import BaseInvalid
from tests.unit.images.base_parts import LOCK, make_contract, make_wheel

FACTS: dict[str, Any] = {
    "from_image": "capctl-root:0123456789ab",
    "python": "3.11",
    "lock_sha256": "f" * 64,
    "root": "sha256:" + "0" * 64,
    "trims": Trims(),
}


@pytest.mark.parametrize("builder", ["classic", "buildkit"])
def test_dockerfile_keeps_wheels_out_of_the_image_and_runs_as_nobody(builder: Any) -> None:
    text = render_dockerfile(builder=builder, **FACTS)
    first, second = text.split("\n\n")
    assert "wheelhouse" in first
    assert "wheelhouse" not in second
    assert "RUN" not in second
    assert "USER 65532:65532\n" in second
    assert 'ENTRYPOINT ["python3"]' in second
    assert "PYTHONPATH=/app:/opt/site" in second
    assert "PYTHONDONTWRITEBYTECODE=1" in second
    assert "WORKDIR /app" in second
    assert f"LABEL dev.capctl.lock-sha256={'f' * 64}\n" in second
    assert "LABEL dev.capctl.python=3.11\n" in second


def test_buildkit_binds_the_context_and_classic_copies_it() -> None:
    classic, buildkit = (render_dockerfile(builder=builder, **FACTS) for builder in ("classic", "buildkit"))
    assert "--mount" not in classic
    assert "COPY . /build/" in classic
    assert "RUN --mount=type=bind" in buildkit
    assert classic.split("\n\n")[1] == buildkit.split("\n\n")[1]
    for text in (classic, buildkit):
        assert "# syntax" not in text
        assert "--link" not in text


def test_stage_labels_do_not_reach_the_base() -> None:
    first, second = render_dockerfile(builder="classic", stage_labels={"run": "abc"}, **FACTS).split("\n\n")
    assert "LABEL run=abc\n" in first
    assert "run=abc" not in second


@pytest.mark.parametrize("value", ["a b", "x\nRUN y", "", "$(x)"])
def test_values_that_would_change_the_dockerfile_are_refused(value: str) -> None:
    with pytest.raises(BaseInvalid, match="cannot stand in a Dockerfile"):
        render_dockerfile(builder="classic", **{**FACTS, "from_image": value})


def test_base_tag_depends_on_lock_root_python_trims_and_recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    facts: dict[str, Any] = {"lock_sha256": "a", "root": "b", "python": "3.11", "trims": Trims()}
    original = base_tag(**facts)
    assert original == base_tag(**facts)
    assert original.startswith("base-")
    assert len(original) == len("base-") + 12
    changes = (
        *({"lock_sha256": "x"}, {"root": "x"}, {"python": "3.12"}),
        *({"trims": Trims(share_ffmpeg=False)}, {"trims": Trims(keep=("x",))}, {"trims": Trims(leave_out=("x",))}),
    )
    tags = {original, *(base_tag(**{**facts, **change}) for change in changes)}
    (tmp_path / "other.j2").write_text("FROM x")
    monkeypatch.setattr("images.base.dockerfile._TEMPLATE", tmp_path / "other.j2")
    tags.add(base_tag(**facts))
    assert len(tags) == 8


def test_base_tells_which_patterns_were_left_out() -> None:
    trims = Trims(leave_out=("cv2/data/**",), keep=("botocore/data/kinesis/**",))
    second = render_dockerfile(builder="classic", **{**FACTS, "trims": trims}).split("\n\n")[1]
    assert 'LABEL dev.capctl.left-out="cv2/data/** botocore/data/*/** ' in second
    assert 'LABEL dev.capctl.kept="botocore/data/kinesis/** botocore/data/batch/** ' in second


@pytest.mark.parametrize("pattern", ['a"', "a b", "$x", "a\\", ""])
def test_patterns_that_would_change_the_dockerfile_are_refused(pattern: str) -> None:
    with pytest.raises(BaseInvalid, match="cannot stand in a Dockerfile"):
        render_dockerfile(builder="classic", **{**FACTS, "trims": Trims(keep=(pattern,))})


def test_image_finds_the_runtime_of_its_contract_after_its_own_packages(tmp_path: Path) -> None:
    contract = read_contract(make_contract(tmp_path / "c.json", libraries={"cuda": "12"}))
    text = render_dockerfile(builder="classic", contract=contract, **FACTS)
    for line in (
        "ENV PYTHONPATH=/app:/opt/site:/opt/runtime/1/site-packages \\",
        f"ENV CAPCTL_RUNTIME_CONTRACT={contract.sha256}",
        "ENV CAPCTL_RUNTIME_MOUNT=/opt/runtime/1",
        "ENV LD_LIBRARY_PATH=/opt/runtime/1/lib",
        f"LABEL dev.capctl.runtime-contract-sha256={contract.sha256}",
    ):
        assert line in text.splitlines()


def test_image_without_a_contract_says_nothing_of_a_runtime() -> None:
    text = render_dockerfile(builder="classic", **FACTS)
    for word in ("RUNTIME", "runtime-contract", "LD_LIBRARY_PATH"):
        assert word not in text


def test_base_tag_depends_on_the_contract() -> None:
    facts: dict[str, Any] = {"lock_sha256": "a", "root": "b", "python": "3.11", "trims": Trims()}
    assert len({base_tag(**facts), base_tag(**facts, contract_sha256="c"), base_tag(**facts, contract_sha256="d")}) == 3


def test_context_is_the_same_for_the_same_inputs(tmp_path: Path) -> None:
    lock, wheels = tmp_path / "x.lock", tmp_path / "wheels"
    lock.write_text(LOCK)
    make_wheel(wheels, "six.whl", {"six.py": ""})
    paths = []
    for number in (1, 2):
        os.utime(wheels / "six.whl", (number, number))
        paths.append(
            context_tar(
                tmp_path / f"{number}.tar",
                dockerfile="FROM x\n",
                requirements_lock=lock,
                trims=Trims(),
                wheels=wheels,
            )
        )
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with tarfile.open(paths[0]) as tar:
        names = tar.getnames()
    assert [*names[:3], names[-1]] == ["Dockerfile", "requirements.lock", "trims.json", "wheelhouse/six.whl"]
    assert names[3:-1] == [*build_program()]


def test_program_of_the_build_runs_with_nothing_but_what_the_context_holds(tmp_path: Path) -> None:
    for path, content in build_program().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    (tmp_path / "wheelhouse").mkdir()
    (tmp_path / "trims.json").write_bytes(Trims().document())
    command = [sys.executable, "-S", "-m", "images.base.unpack", "wheelhouse", "no.lock", "trims.json", "layers"]
    ended = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert ended.stderr == "error: [Errno 2] No such file or directory: 'no.lock'\n"


def test_official_root_must_be_pinned_and_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "x.lock"
    lock.write_text(LOCK)
    monkeypatch.setattr("images.base.recipe.wheelhouse", lambda _lock, python, _cache, **_kw: tmp_path / python)
    pinned = "python@sha256:" + "1" * 64
    recipe = plan_base(lock, tmp_path, official_root=OfficialRoot(image=pinned, python="3.12"))
    assert (recipe.root_tar, recipe.from_image, recipe.python) == (None, pinned, "3.12")
    assert wheels_of(recipe, tmp_path) == tmp_path / "3.12"
    with pytest.raises(BaseInvalid, match="not pinned by digest"):
        plan_base(lock, tmp_path, official_root=OfficialRoot(image="python:3.12-slim", python="3.12"))


def test_missing_lock_is_named(tmp_path: Path) -> None:
    with pytest.raises(BaseInvalid, match=r"x\.lock"):
        plan_base(tmp_path / "x.lock", tmp_path)


def test_wheels_are_those_of_the_lock_that_the_contract_does_not_bring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "x.lock"
    lock.write_text("jmespath==1.1.0 --hash=sha256:" + "1" * 64 + "\n" + LOCK)
    asked: list[str] = []

    def wheelhouse(lock: Path, *_: object, **__: object) -> Path:
        asked.append(lock.read_text())
        return tmp_path

    monkeypatch.setattr("images.base.recipe.wheelhouse", wheelhouse)
    root = OfficialRoot(image="python@sha256:" + "1" * 64, python="3.12")
    contract = read_contract(make_contract(tmp_path / "c.json"))
    plain, recipe = (plan_base(lock, tmp_path, official_root=root, contract=each) for each in (None, contract))
    assert "six" not in recipe.requirements.read_text()
    assert recipe.requirements.name == lock.name
    assert asked == []
    for each in (plain, recipe):
        wheels_of(each, tmp_path)
    assert asked == [lock.read_text(), recipe.requirements.read_text()]
    assert plain.requirements == lock
    assert plain.lock_sha256 == recipe.lock_sha256
    assert plain.tag != recipe.tag


def test_contract_for_another_python_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    lock.write_text(LOCK)
    contract = read_contract(make_contract(tmp_path / "c.json", python="3.13"))
    root = OfficialRoot(image="python@sha256:" + "1" * 64, python="3.12")
    with pytest.raises(BaseInvalid, match=r"for Python 3\.13, and the root of the base has 3\.12"):
        plan_base(lock, tmp_path, official_root=root, contract=contract)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("garbage\n", "line 1 is no requirement with its version, `garbage`"),
        ("# x\n\n<html>\n", "line 3 is no requirement"),
        ("six>=1\n", "line 1 is no requirement"),
        (LOCK + "numpy==9.9.9\n", r"`numpy==9\.9\.9` has no hash in the lock `x\.lock`, line 2"),
        ("numpy==9.9.9 \\\n  # via x\n", "has no hash"),
    ],
)
def test_file_that_is_no_lock_is_told_before_anybody_asks_an_index(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.lock").write_text(text)
    with pytest.raises(BaseInvalid, match=said) as caught:
        plan_base(tmp_path / "x.lock", tmp_path)
    assert "--generate-hashes" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "--index-url https://example.com/simple\n" + LOCK,
        "# about\nsix[extra]==1.17.0 ; python_version >= '3.9' \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n    # via y\n",
        "six @ https://example.com/six.whl --hash=sha256:aa\n",
    ],
)
def test_what_pip_takes_for_a_lock_with_hashes_is_one(text: str) -> None:
    require_lock(text, "x.lock")
