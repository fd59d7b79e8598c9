"""A line of Packer's is read back, and secrets are hidden in it."""

from __future__ import annotations

from lifecycle.adapters.packer_output import Mask, parse


def test_machine_readable_line_is_restored() -> None:
    record = parse("1769000000,,ui,say,==> amazon-ebs.models: a%!(PACKER_COMMA) b\\nc\n")
    assert record is not None
    assert (record.kind, record.text) == ("say", "a, b\nc")
    assert parse("panic: not machine-readable") is None


def test_mask_hides_longer_secrets_first() -> None:
    assert Mask(["key", "key-and-more", ""])("key-and-more key") == "<masked> <masked>"
