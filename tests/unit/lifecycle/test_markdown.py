"""Text of others in Markdown: read by a parser it is text and code, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from lifecycle.cli.markdown import block, code, prose, table
from lifecycle.domain.visible import visible

PARSER = MarkdownIt("commonmark", {"linkify": False}).enable(["table", "strikethrough"])
# Rich in what Markdown looks for.
TEXTS = st.text(alphabet=st.sampled_from("`*_[]()<>#!|~&;:/@$\\-+.= \nawhtps1\u202e\x1b"), min_size=1)


def read(written: str) -> str:
    """What a reader sees of a line that ends with `written`."""
    tokens = PARSER.parse(f"Said: {written}")
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    return seen(tokens[1]).removeprefix("Said:").strip()


def seen(token: Token) -> str:
    assert is_plain(token), token.children
    return "".join(piece.content for piece in token.children or ())


def is_plain(token: Token) -> bool:
    return {piece.type for piece in token.children or ()} <= {"text", "text_special", "code_inline"}


@given(TEXTS)
def test_prose_is_read_as_it_was_written(text: str) -> None:
    without = str.maketrans("", "", "` ")
    assert read(prose(text)).translate(without) == visible(text.strip()).translate(without)


@given(TEXTS)
def test_code_is_read_as_it_was_written(text: str) -> None:
    assert read(code(text)) == visible(text).strip()


@given(TEXTS, TEXTS)
def test_cell_stays_in_its_cell(first: str, second: str) -> None:
    tokens = PARSER.parse(table(("a", "#b"), [(prose(first), prose(second)), (code(first), code(second))]))
    rows = [token for token in tokens if token.type == "tr_open"]
    cells = [token for token in tokens if token.type == "td_open"]
    assert (len(rows), len(cells)) == (3, 4)
    assert tokens[-1].type == "table_close"
    assert all(map(is_plain, tokens))


@given(st.lists(TEXTS))
def test_block_ends_where_it_shall(lines: list[str]) -> None:
    tokens = PARSER.parse(block(lines))
    assert [token.type for token in tokens] == ["fence"]
    assert tokens[0].content.rstrip("\n") == visible("\n".join(lines), lines=True).rstrip("\n")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Run `capctl job logs`", "Run `capctl job logs`"),
        ("see https://evil.example and www.evil.example", "see https\\://evil.example and www\\.evil.example"),
        ("@team <b>#1</b>", "\\@team \\<b\\>\\#1\\</b\\>"),
        ("two\nlines", "two\\\\nlines"),
    ],
)
def test_prose(text: str, written: str) -> None:
    assert prose(text) == written


def test_code_is_quoted_by_more_backticks_than_it_has() -> None:
    assert code("a``b") == "```a``b```"
    assert code("`") == "`` ` ``"
    assert code("") == ""
