"""Output as it shall be, one file per case; `UPDATE_GOLDEN=1` writes the files instead of comparing."""

import os
from pathlib import Path

FOLDER = Path(__file__).parent


def assert_golden(name: str, text: str) -> None:
    """`text` is what the file `name` holds."""
    path = FOLDER / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.exists(), f"{path} is missing; run with UPDATE_GOLDEN=1 and read what it writes"
    assert text == path.read_text(), f"{path.name} differs; if it shall, run with UPDATE_GOLDEN=1"
