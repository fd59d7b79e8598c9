"""Spans of time as an option takes them."""

from __future__ import annotations

import re
from datetime import timedelta

import click

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_FORM = re.compile(r"([0-9]{1,6})([smhd])")


def as_duration(_ctx: click.Context, _parameter: click.Parameter, value: str) -> timedelta:
    """`90s`, `30m`, `6h` or `2d` as a span; raises `click.BadParameter` for a text of another form."""
    found = _FORM.fullmatch(value)
    if not found:
        message = f"`{value}` is none of `90s`, `30m`, `6h`, `2d`"
        raise click.BadParameter(message)
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
