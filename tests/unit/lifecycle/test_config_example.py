"""What `capctl init` writes."""

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from lifecycle.config.example import example
from lifecycle.config.keys import Kind, known_keys
from lifecycle.config.load import load_target
from lifecycle.config.schema import Settings
from lifecycle.config.schema_document import schema_document
from lifecycle.errors import UsageError


@pytest.fixture
def text() -> str:
    return example(project="shop", target="dev", account="012345670123", region="eu-central-1")


def _load(text: str, tmp_path: Path) -> Settings:
    path = tmp_path / "capctl.yaml"
    path.write_text(text)
    return load_target(path, None, environment={}).settings


def test_the_example_is_valid_and_changes_nothing(text: str, tmp_path: Path) -> None:
    assert _load(text, tmp_path) == Settings()


def test_every_key_uncommented_is_valid_and_shows_its_default(text: str, tmp_path: Path) -> None:
    uncommented = re.sub(r"^( +)# (\w+:)", r"\1\2", text, flags=re.MULTILINE)
    assert _load(uncommented, tmp_path) == Settings()
    written = yaml.safe_load(uncommented)["defaults"]
    for path, key in known_keys(Settings).items():
        inside = written
        for part in path:
            assert part in inside, key.name
            inside = inside[part]


def test_every_key_is_described(text: str) -> None:
    for key in known_keys(Settings).values():
        assert key.description, key.name
        assert f"# {key.description}" in text


@pytest.mark.parametrize(
    ("wrong", "option"),
    [
        ({"project": "Shop 1"}, "project"),
        ({"account": "1"}, "account"),
        ({"account": "\uff11" * 12}, "account"),
        ({"region": "moon"}, "region"),
    ],
)
def test_values_that_do_not_fit_are_refused_by_option(wrong: dict[str, str], option: str) -> None:
    given = {"project": "shop", "target": "dev", "account": "012345670123", "region": "eu-central-1"} | wrong
    with pytest.raises(UsageError) as caught:
        example(**given)
    assert caught.value.code == "option-invalid"
    assert f"`--{option}`" in caught.value.hint


def test_the_json_schema_accepts_the_example_and_refuses_an_unknown_key(text: str) -> None:
    schema = schema_document()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(text), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text) | {"targts": {}}, schema)


def test_every_kind_of_key_is_in_words() -> None:
    assert all(isinstance(key.kind, Kind) for key in known_keys(Settings).values())
