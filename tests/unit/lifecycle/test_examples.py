"""The example configuration is valid, for each of its targets."""

from pathlib import Path

import pytest

from lifecycle.config.load import load_target

EXAMPLE = Path(__file__).parents[3] / "examples" / "capctl.yaml"


@pytest.mark.parametrize("target", ["dev", "prod"])
def test_example_loads(target: str) -> None:
    loaded = load_target(EXAMPLE, target, environment={})
    assert loaded.settings.release.spot is (target == "dev")
