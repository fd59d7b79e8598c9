"""Text of others, such as tags, notes and log lines, as a terminal may get it."""

import re

# What drives a terminal, ends a line, or turns the direction of writing; a lone surrogate cannot be written at all.
_DRIVES = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str, *, lines: bool = False) -> str:
    r"""`text` on one line, with each control character as its escape, such as `\n` or `\x1b`; with `lines` ends of lines and tabs stay."""

    def escaped(found: re.Match[str]) -> str:
        character = found[0]
        return character if lines and character in "\n\t" else character.encode("unicode_escape").decode()

    return _DRIVES.sub(escaped, text)
