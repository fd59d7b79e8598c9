"""Files that a configuration names and that must be there before an image can be made."""

from __future__ import annotations

from collections.abc import Iterable

from lifecycle.config.target import Target

_HOW = {
    "requirements": "lock the packages there, with their hashes",
    "runtime_contract": "get it from git, or write it with `capctl models contract`",
}


def missing_files(targets: Iterable[Target]) -> list[str]:
    """What is missing, each file once with the targets that name it."""
    missing: dict[tuple[str, str], list[str]] = {}
    for target in targets:
        base = target.settings.image.base
        for key, name in (("requirements", base.requirements), ("runtime_contract", base.runtime_contract)):
            if name and not target.path(name).is_file():
                missing.setdefault((key, name), []).append(f"`{target.name}`")
    return [
        f"`image.base.{key}` of {', '.join(names)} is `{name}`, which is no file: {_HOW[key]}"
        for (key, name), names in missing.items()
    ]
