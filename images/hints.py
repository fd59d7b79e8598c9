"""What mends a broken rule, in a few words."""

from __future__ import annotations

from collections.abc import Iterable

from images.rules import Violation

_SIZE = "take packages out of the requirements of the base, or raise the budget in `image`"
_OF_THE_BASE = "change the requirements or the root of the base, then run `capctl image base`"
_MADE_ELSEWHERE = "make the image with `capctl image push`"
_HINTS = {
    "compressed-size-over-budget": _SIZE,
    "unpacked-size-over-budget": _SIZE,
    "model-file": "models belong in the AMI: leave the file out with `image.exclude`, or allow it with `image.rules.model_files`",
    "oversized-file": "leave the file out with `image.exclude`, or add it to `image.rules.large_files`",
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
    "forbidden-path": "leave the file out with `image.exclude`; `image.rules.forbidden` adds to what never ships",
    "code-not-allowed": "leave the file out with `image.exclude`",
    "link-outside-code": "replace the link by what it leads to",
    "python-invalid": "mend the file, leave it out with `image.exclude`, or allow it with `image.rules.not_compiled`",
    "import-unresolved": (
        "lock the package of the module, or name the module in `image.rules.provided_modules` if the host mounts it or the code does "
        "without"
    ),
    "module-hidden": "lock one build of the package, that of the runtime: " + _OF_THE_BASE,
    "secret-found": (
        "rotate the key, which whoever can read the code or an image of it has; then take it out of the code, or name the file in "
        "`image.rules.not_secret` if it is none"
    ),
    "whiteout-in-code-layer": _MADE_ELSEWHERE,
    "code-layer-outside-app": _MADE_ELSEWHERE,
}


def hint_for(violations: Iterable[Violation]) -> str:
    """What to do about all of them, each thing once, in their order; begins with a capital letter."""
    words = "; ".join(dict.fromkeys(violation.hint or _HINTS.get(violation.code, "") for violation in violations))
    return words[:1].upper() + words[1:]
