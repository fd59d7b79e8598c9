"""`capctl init` and `capctl config`."""

import json
from pathlib import Path

import pytest
import yaml

from tests.golden import assert_golden
from tests.unit.lifecycle.conftest import Capctl

FILE = """\
project: shop
defaults:
  smoke: {min_tracks: 2}
targets:
  dev:
    account: "012345678901"
    region: eu-central-1
    release:
      environment: {DATABASE_URL: "postgresql://job:secret@db/jobs"}
"""


def test_init_writes_a_file_that_check_accepts(capctl: Capctl, folder: Path) -> None:
    assert_golden(
        "init.txt", str(capctl("init", "--project", "shop", "--account", "012345678901", "--region", "eu-central-1"))
    )
    assert_golden("config-check.txt", str(capctl("config", "check")))
    assert yaml.safe_load((folder / "capctl.yaml").read_text())["targets"]["dev"]["account"] == "012345678901"


def test_init_names_the_project_after_its_folder_and_warns_about_the_account(capctl: Capctl) -> None:
    assert_golden("init-without-account.txt", str(capctl("init")))
    assert json.loads(capctl("-o", "json", "init", "--force").out)["project"] == "here"


def test_init_refuses_to_overwrite(capctl: Capctl, folder: Path) -> None:
    (folder / "capctl.yaml").write_text("mine")
    assert_golden("init-twice.txt", str(capctl("init")))
    assert (folder / "capctl.yaml").read_text() == "mine"
    assert capctl("init", "--force").code == 0
    assert "mine" not in (folder / "capctl.yaml").read_text()


def test_init_says_which_file_a_variable_names(capctl: Capctl, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPCTL_CONFIG", str(folder / "other.yaml"))
    assert f"CAPCTL_CONFIG says where: `{folder / 'other.yaml'}`" in capctl("init").err


def test_init_never_writes_into_a_rehearsal(capctl: Capctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state" / "capctl" / "rehearsals" / "121212-abcd" / "project" / "capctl.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("the rehearsal's")
    monkeypatch.setenv("CAPCTL_CONFIG", str(path))
    outcome = capctl("init", "--force")
    assert outcome.code == 2
    assert "error[config-exists]" in outcome.err
    assert "121212-abcd" in outcome.err
    assert path.read_text() == "the rehearsal's"


@pytest.mark.parametrize(("option", "value"), [("--account", "12"), ("--region", "moon"), ("--project", "Shop 1")])
def test_init_refuses_values_that_do_not_fit_and_writes_nothing(
    option: str, value: str, capctl: Capctl, folder: Path
) -> None:
    outcome = capctl("init", option, value)
    assert outcome.code == 2
    assert "error[option-invalid]" in outcome.err
    assert not (folder / "capctl.yaml").exists()


def test_show_with_origins(capctl: Capctl, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "capctl.yaml").write_text(FILE)
    monkeypatch.setenv("CAPCTL_SMOKE__TIMEOUT_S", "60")
    assert_golden("config-show-origins.txt", str(capctl("config", "show", "--origins")))


def test_show_as_a_document_keeps_types_and_masks_passwords(capctl: Capctl, folder: Path) -> None:
    (folder / "capctl.yaml").write_text(FILE)
    document = json.loads(capctl("-o", "json", "config", "show").out)
    values = {setting["name"]: setting["value"] for setting in document["settings"]}
    assert (document["schema"], document["target"]) == ("capctl.config-values/1", "dev")
    assert (values["smoke.min_tracks"], values["release.spot"], values["models.exclude"]) == (2, True, [])
    assert values["release.environment.DATABASE_URL"] == "***"


def test_check_names_every_mistake(capctl: Capctl, folder: Path) -> None:
    (folder / "capctl.yaml").write_text(FILE.replace("min_tracks", "min_track").replace("eu-central-1", "moon"))
    assert_golden("config-check-mistakes.txt", str(capctl("config", "check")))


def test_a_missing_file(capctl: Capctl) -> None:
    assert_golden("config-missing.txt", str(capctl("config", "show")))


def test_schema_is_a_json_schema_whatever_the_output(capctl: Capctl) -> None:
    assert json.loads(capctl("config", "schema").out)["$schema"].endswith("2020-12/schema")
    assert capctl("config", "schema").out == capctl("-o", "json", "config", "schema").out
