"""What mends a broken rule, in a few words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from images.rules import Violation, name_in_code

# `{path}` are those in the image, which some settings take, and `{code}` the same from the code's own folder, which others do.
_SIZE = "take packages out of the requirements of the base, or raise the budget in `image`"
_OF_THE_BASE = "change the requirements or the root of the base, then run `capctl image base`"
_MADE_ELSEWHERE = "make the image with `capctl image push`"
_LEAVE_OUT = "leave it out with `image.exclude: [{code}]`"
_MOST_NAMED = 3
_HINTS = {
    "compressed-size-over-budget": _SIZE,
    "unpacked-size-over-budget": _SIZE,
    "model-file": "models belong in the AMI: " + _LEAVE_OUT + ", or allow it: `image.rules.model_files: [{path}]`",
    "oversized-file": _LEAVE_OUT + ", or allow it: `image.rules.large_files: [{path}]`",
    "setuid-file": _OF_THE_BASE,
    "cache-left-behind": _OF_THE_BASE,
    "vcs-left-behind": _OF_THE_BASE,
    "credentials-left-behind": "revoke these credentials, since whoever pulls the image has them; then " + _OF_THE_BASE,
    "tests-left-behind": _OF_THE_BASE,
    "stale-bytecode": _OF_THE_BASE,
    "package-not-locked": "lock the package, or run `capctl image base` where the lock has changed",
    "package-missing": "run `capctl image base`, then `capctl image push`",
    "wasted-bytes": _OF_THE_BASE + "; `capctl image explain` tells what is replaced",
    "duplicate-bytes": _OF_THE_BASE + "; `capctl image explain` tells what is there twice",
    "forbidden-path": _LEAVE_OUT + "; `image.rules.forbidden` adds to what never ships",
    "code-not-allowed": _LEAVE_OUT,
    "link-outside-code": "replace the link by what it leads to",
    "link-broken": "replace the link by what it leads to, or `git add` that",
    "python-invalid": "mend the file, or allow it: `image.rules.not_compiled: [{code}]`",
    "import-unresolved": (
        "lock the package of the module, or name the module in `image.rules.provided_modules` if the host mounts it or the code does "
        "without"
    ),
    "module-hidden": "lock one build of the package, that of the runtime: " + _OF_THE_BASE,
    "secret-found": (
        "rotate the key, which whoever can read the code or an image of it has; then take it out of the code, or, if it is none, allow it: "
        "`image.rules.not_secret: [{code}]`"
    ),
    "whiteout-in-code-layer": _MADE_ELSEWHERE,
    "code-layer-outside-app": _MADE_ELSEWHERE,
}


def hint_for(violations: Iterable[Violation]) -> str:
    """What to do about all of them, each thing once, in their order; begins with a capital letter."""
    found: dict[str, list[str]] = {}
    for violation in violations:
        found.setdefault(violation.hint or _HINTS.get(violation.code, ""), []).append(violation.path)
    words = "; ".join(_filled(hint, list(dict.fromkeys(paths))) for hint, paths in found.items())
    return words[:1].upper() + words[1:]


def _filled(hint: str, paths: Sequence[str]) -> str:
    # The run configuration breaks rules too, and has no path.
    named = [path for path in paths if path][:_MOST_NAMED] or ["…"]
    more = ", …" if len(paths) > _MOST_NAMED else ""
    for place, names in (("{path}", named), ("{code}", [name_in_code(path) or path for path in named])):
        hint = hint.replace(place, ", ".join(names) + more)
    return hint
