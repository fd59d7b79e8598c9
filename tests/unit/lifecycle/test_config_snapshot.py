"""The target that is kept between commands is the one that the file gives."""

import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.config import load, snapshot
from lifecycle.config.keys import Key, Kind, known_keys
from lifecycle.config.schema import Settings
from lifecycle.config.target import Target
from lifecycle.errors import UsageError

SMALL = """\
project: shop
targets:
  dev:
    account: "012345678901"
    region: eu-central-1
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A capctl.yaml in a project where something was changed already."""
    (tmp_path / ".capctl").mkdir()
    path = tmp_path / "capctl.yaml"
    path.write_text(SMALL)
    return path


class _Asked(Exception):
    """The file was to be parsed and checked."""


def _loaded(path: Path, name: str | None = None, **environment: str) -> Target:
    return snapshot.load_target(path, name, environment=environment)


def _kept(path: Path, name: str | None = None, **environment: str) -> Target | None:
    """The target of the snapshot, or None if it does not count."""

    def ask(*_: object, **__: object) -> Target:
        raise _Asked

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load, "load_target", ask)
        try:
            return _loaded(path, name, **environment)
        except _Asked:
            return None


def _values(key: Key) -> st.SearchStrategy[Any]:
    text = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=8)
    match key.kind:
        case Kind.INTEGER:
            return st.integers(200, 10**20) if key.name != "stack.keep_releases" else st.integers(1, 10)
        case Kind.BOOLEAN:
            return st.booleans()
        case Kind.LIST:
            return st.lists(text, min_size=1, max_size=3)
        case Kind.MAPPING:
            return st.dictionaries(st.from_regex(r"[A-Z_]{1,5}", fullmatch=True), text, max_size=3)
        case _:
            return st.sampled_from(key.choices) if key.choices else text


def _sections() -> st.SearchStrategy[dict[str, Any]]:
    """What may stand under `defaults`: some keys of some sections."""
    bounded = {
        "ami.promote_to",
        "ami.ssh_port",
        "image.entrypoint",
        "image.repository",
        "network.cidr",
        "network.zones",
        "release.attempts",
        "release.database_secret_arn",
        "smoke.max_run_percent",
        "smoke.video_url",
        "watch.duration_s",
    }
    bounded |= {f"{section}.timeout_s" for section in ("ami", "release", "smoke")}
    inside: dict[str, dict[str, st.SearchStrategy[Any]]] = {}
    for key in known_keys(Settings).values():
        if len(key.path) == 2 and key.kind is not Kind.SECTION and key.name not in bounded:
            inside.setdefault(key.path[0], {})[key.path[1]] = _values(key)
    return st.fixed_dictionaries(
        {}, optional={name: st.fixed_dictionaries({}, optional=keys) for name, keys in inside.items()}
    )


@settings(max_examples=40)
@given(defaults=_sections(), own=_sections(), profile=st.none() | st.text("abc", max_size=3))
def test_the_kept_target_is_equal_to_the_one_that_the_file_gives(
    defaults: dict[str, Any], own: dict[str, Any], profile: str | None
) -> None:
    target = {"account": "012345678901", "region": "eu-central-1", "profile": profile, **own}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "capctl.yaml"
        path.write_text(yaml.safe_dump({"project": "shop", "defaults": defaults, "targets": {"dev": target}}))
        (Path(folder) / ".capctl").mkdir()
        wanted = load.load_target(path, None, environment={})
        assert _loaded(path) == wanted
        assert _kept(path) == wanted
        assert repr(_kept(path)) == repr(wanted)


def test_it_counts_for_the_same_file_and_the_same_name_only(file: Path) -> None:
    _loaded(file)
    assert _kept(file)
    assert _kept(file, "dev") is None
    assert _kept(file, "None") is None
    file.write_text(SMALL + "    smoke: {min_tracks: 7}\n")
    assert _kept(file) is None
    assert _loaded(file).settings.smoke.min_tracks == 7
    assert _kept(file) == _loaded(file)


def test_it_counts_for_the_same_capctl_only(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = file.parent / "config"
    package.mkdir()
    (package / "schema.py").write_text("")
    monkeypatch.setattr(snapshot, "__file__", str(package / "snapshot.py"))
    _loaded(file)
    assert _kept(file)
    (package / "schema.py").write_text("more")
    assert _kept(file) is None


@pytest.mark.parametrize(
    "variable", ["CAPCTL_PROFILE", "CAPCTL_SMOKE__DATABASE_URL", "CAPCTL_RELEASE__ENVIRONMENT__PASSWORD"]
)
def test_what_a_variable_holds_is_neither_written_nor_overlooked(file: Path, variable: str) -> None:
    environment = {variable: "hidden"}
    _loaded(file, **environment)
    assert list((file.parent / ".capctl").iterdir()) == []
    _loaded(file)
    assert _kept(file, **environment) is None
    assert "hidden" in repr(_loaded(file, **environment))
    assert all(b"hidden" not in kept.read_bytes() for kept in (file.parent / ".capctl").iterdir())


def test_variables_that_set_nothing_do_not_matter(file: Path) -> None:
    _loaded(file, CAPCTL_OUTPUT="json")
    assert _kept(file, CAPCTL_DEBUG="1", CAPCTL_CONFIG="capctl.yaml", AWS_PROFILE="x")


def test_a_variable_that_names_no_key_is_a_mistake_all_the_same(file: Path) -> None:
    _loaded(file)
    with pytest.raises(UsageError, match="sets nothing that capctl knows"):
        _loaded(file, CAPCTL_SMOKE__TIMOUT_S="1")


def test_nobody_else_may_read_it(file: Path) -> None:
    _loaded(file)
    (kept,) = (file.parent / ".capctl").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe\n", b"hello\n{}", b"\n\n"])
def test_one_that_is_damaged_is_as_good_as_none(file: Path, damage: bytes) -> None:
    target = _loaded(file)
    kept = file.parent / ".capctl" / "target.json"
    whole = kept.read_bytes()
    for content in (damage, whole[:-1], whole.replace(b"eu-central-1", b"eu-central-2")):
        kept.write_bytes(content)
        assert _kept(file) is None
        assert _loaded(file) == target
        assert kept.read_bytes() == whole


def test_where_nothing_was_changed_yet_nothing_is_written(file: Path) -> None:
    (file.parent / ".capctl").rmdir()
    _loaded(file)
    assert list(file.parent.iterdir()) == [file]


def test_one_that_cannot_be_written_or_read_is_no_failure(file: Path) -> None:
    (file.parent / ".capctl" / "target.json").mkdir()
    assert _loaded(file) == _loaded(file)
    assert [each.name for each in (file.parent / ".capctl").iterdir()] == ["target.json"]
    (file.parent / ".capctl" / "target.json").rmdir()
    (file.parent / ".capctl").rmdir()
    (file.parent / ".capctl").write_text("a file where a folder belongs")
    assert _loaded(file) == _loaded(file)


def test_a_file_with_mistakes_is_refused_as_ever(file: Path) -> None:
    _loaded(file)
    file.write_text(SMALL.replace("eu-central-1", "moon"))
    with pytest.raises(UsageError, match="must be an AWS region"):
        _loaded(file)
    file.unlink()
    with pytest.raises(UsageError, match="no configuration file"):
        _loaded(file)
