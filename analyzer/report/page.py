"""Put data, film, style and scripts into one HTML file that reads nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from string import Template
from typing import Any

# In the order in which they are read; each is a part of one program.
SCRIPTS = ("tracks.js", "stage.js", "timeline.js", "facts.js", "cards.js", "player.js")


def render(data: Mapping[str, Any], film: bytes | None) -> bytes:
    """The page of `data` (see `page_data`) with `film`, an MP4 whose times are those of the data.

    Its policy forbids the browser whatever is not in the file: text from the document could not fetch or run anything even if it
    got past its escaping. Raises: ValueError, for a number that JSON does not know.
    """
    style = _read("page.css")
    script = '"use strict";\n' + "\n".join(_read(name) for name in SCRIPTS)
    policy = (
        f"default-src 'none'; img-src data:; media-src blob:; style-src '{_digest(style)}'; script-src '{_digest(script)}';"
        " base-uri 'none'; form-action 'none'"
    )
    page = Template(_read("page.html")).substitute(
        policy=policy,
        style=style,
        script=script,
        data=script_text(data),
        film=base64.b64encode(film).decode() if film else "",
    )
    return page.encode()


def script_text(value: object) -> str:
    """JSON that no HTML parser takes for markup: inside a `script`, only `<` can end it or begin a comment."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate is valid in JSON and not in UTF-8.
    return text.replace("<", "\\u003c").encode("utf-8", "backslashreplace").decode()


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _read(name: str) -> str:
    return resources.files("analyzer.report").joinpath(name).read_text("utf-8")
