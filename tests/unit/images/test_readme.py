"""The example of the package's README, as it is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.images.test_code_image import BASE_CONFIG

README = Path(__file__).parents[3] / "images" / "README.md"


def test_example_pushes(
    registry: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "analyzer").mkdir()
    (tmp_path / "analyzer" / "__main__.py").write_text("print(1)\n")
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    base = registry.add_image("analyzer", BASE_CONFIG, [b"base layer"])
    exec(example.replace("http://127.0.0.1:5000", registry.url).replace("sha256:…", base), {})
    ((_, tag),) = registry.tags
    assert tag in capsys.readouterr().out
