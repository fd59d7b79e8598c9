"""Exit codes and error codes."""

import re
from pathlib import Path

import pytest

from lifecycle import errors
from lifecycle.errors import ERROR_CODES, EXIT_CODES, CapctlError, ExitCode
from tests.dev.codes import Comparison, compare, raised_codes

ROOT = Path(__file__).resolve().parents[3]


def test_every_exit_code_has_a_meaning_of_its_own() -> None:
    assert set(EXIT_CODES) == set(ExitCode)
    assert len(set(EXIT_CODES.values())) == len(EXIT_CODES)


def test_one_error_class_per_exit_code() -> None:
    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, CapctlError)]
    codes = [each.exit_code for each in classes]
    assert sorted(set(codes)) == sorted(codes)
    assert set(ExitCode) - set(codes) == {ExitCode.DONE, ExitCode.BUG}


def test_error_codes_are_kebab_case_with_a_one_line_meaning() -> None:
    for code, meaning in ERROR_CODES.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)
        assert meaning
        assert not meaning.endswith(".")
        assert "\n" not in meaning


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare(ROOT)


def test_every_raised_code_is_in_the_table_and_every_entry_is_raised(comparison: Comparison) -> None:
    assert comparison.agrees, comparison.render(ROOT)


def test_every_code_can_be_read_from_the_source(comparison: Comparison) -> None:
    assert comparison.computed == ()


def test_codes_are_found_in_calls_subclasses_and_conditions(tmp_path: Path) -> None:
    package = tmp_path / "lifecycle"
    package.mkdir()
    (package / "source.py").write_text("""
class Late(CapctlError): ...
class Fixed(CapctlError):
    def __init__(self, message): super().__init__("fixed-code", message)
class Declared(Exception):
    code: ClassVar[str] = "declared-code"
def fail(code):
    raise CapctlError("plain-code", "…")
    raise Late("one-code" if code else "other-code", "…")
    raise Fixed("not a code")
    raise CapctlError(code, "…")
    raise CapctlError(error.code, "…")
    raise CapctlError(f"made-{up}", "…")
fail(code="named-code")
ValueError("no-code-of-ours")
""")
    codes, computed = raised_codes(tmp_path)
    wanted = {"plain-code", "one-code", "other-code", "fixed-code", "declared-code", "named-code"}
    assert set(codes) == wanted
    assert [place.line for place in computed] == [13]
