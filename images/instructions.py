"""The instructions of a Dockerfile, from what builders write of them into an image."""

from __future__ import annotations

import re

# `|2 A=b C=d` before a command are the build arguments that it saw.
_ARGUMENTS = re.compile(r"\|\d+ .*?(?=/bin/)", re.DOTALL)
_SHELL = re.compile(r"/bin/(?:ba|da|a)?sh (?:-[a-z]+ (?:pipefail )?)*?-[a-z]*c ")
_NOT_RUN = re.compile(r"#\(nop\)\s*")
_BUILDKIT = re.compile(r"\s*# buildkit$")
_HASH = re.compile(r"\b((?:file|dir|multi):[0-9a-f]{12})[0-9a-f]{52}\b")


def readable(instruction: str) -> str:
    """The instruction on one line, as its author wrote it as far as the image tells: `RUN pip install x`, `COPY src /app`.

    The classic builder names what it copied by hash only: `COPY dir:0123456789ab in /app`. "" where the image tells nothing.
    """
    text = " ".join(_BUILDKIT.sub("", instruction).split())
    verb, rest = ("RUN ", text.removeprefix("RUN ")) if text.startswith("RUN ") else ("", text)
    command = _SHELL.sub("", _ARGUMENTS.sub("", rest, count=1) if rest.startswith("|") else rest, count=1)
    if _NOT_RUN.match(command):
        return _HASH.sub(r"\1", _NOT_RUN.sub("", command))
    return f"RUN {command}" if verb or command != rest else _HASH.sub(r"\1", rest)
