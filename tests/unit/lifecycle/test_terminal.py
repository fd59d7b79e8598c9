"""What a person sees on stderr."""

import io

import pytest
from rich.text import Text

from lifecycle.adapters.terminal import TerminalUi
from lifecycle.errors import CapctlError, Interrupted, UsageError
from tests.fakes.clock import FakeClock


class Terminal(io.TextIOWrapper):
    """A text stream that says it is a terminal."""

    def __init__(self, text: str = "", *, terminal: bool = True, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(text.encode()), encoding=encoding)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    @property
    def text(self) -> str:
        self.flush()
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode()


def _ui(stream: Terminal, clock: FakeClock | None = None, **options: object) -> TerminalUi:
    monotonic = (clock or FakeClock()).monotonic
    return TerminalUi(**{"stream": stream, "environment": {}, "monotonic": monotonic, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("verbosity", "lines"),
    [
        (-1, ["warning: w"]),
        (0, ["n", "warning: w", "bake …", "✓ bake  12.3s  ami-1", "upload: 2.0 kB …", "upload: 1.5 kB in 60.0s"]),
        (1, ["n", "d", "warning: w", "bake …", "✓ bake  12.3s  ami-1", "upload: 2.0 kB …", "upload: 1.5 kB in 60.0s"]),
    ],
)
def test_lines_by_verbosity(verbosity: int, lines: list[str]) -> None:
    stream, clock = Terminal(terminal=False), FakeClock()
    ui = _ui(stream, clock, verbosity=verbosity)
    ui.note("n")
    ui.detail("d")
    ui.warn("w")
    with ui.step("bake") as report:
        clock.sleep(12.3)
        report.done("ami-1")
    with ui.progress("upload", 2000) as total:
        total.advance(1500)
        clock.sleep(59.96)
    expected = [line.replace("60.0s", "1m00s") for line in lines]
    assert stream.text.splitlines() == expected


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(CapctlError("x", "y"), "failed"), (Interrupted("x", "y"), "interrupted"), (KeyboardInterrupt(), "interrupted")],
)
def test_a_failed_step_is_shown_unless_quiet_where_only_its_error_is(error: BaseException, outcome: str) -> None:
    for verbosity, shown in ((0, f"bake …\n✗ bake  0.0s  {outcome}\n"), (-1, "")):
        stream = Terminal(terminal=False)
        with pytest.raises(type(error)), _ui(stream, verbosity=verbosity).step("bake"):
            raise error
        assert stream.text == shown


def test_a_log_tells_the_begin_of_a_step_and_of_those_within_it_only_the_end() -> None:
    stream = Terminal(terminal=False)
    ui = _ui(stream)
    with ui.step("create the release"):
        for part in ("queue", "definition"):
            with ui.step(f"create the {part}"):
                pass
    with ui.step("smoke it", is_row=True):
        pass
    assert stream.text.splitlines() == [
        "create the release …",
        "✓ create the queue  0.0s",
        "✓ create the definition  0.0s",
        "✓ create the release  0.0s",
        "✓ smoke it  0.0s",
    ]


def test_a_terminal_gets_a_live_row_and_the_same_line_at_the_end() -> None:
    stream = Terminal()
    with _ui(stream).step("bake"):
        pass
    assert stream.text.endswith("\x1b[32m✓\x1b[0m bake  0.0s\n")


@pytest.mark.parametrize("width", [20, 80, 120])
def test_text_of_a_row_gives_way_and_never_its_clock(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    stream = Terminal()
    ui = _ui(stream)
    with ui.step("bake " + "vision-models " * 20):
        ui.note("which draws the row anew")
    drawn = next(line for line in stream.text.splitlines() if "0:00:00" in line)
    shown = Text.from_ansi(drawn).plain.rstrip()
    assert len(shown) <= width
    assert "bake" in shown
    assert shown.endswith("…")


def test_lines_said_during_a_step_stand_above_its_row() -> None:
    stream = Terminal()
    ui = _ui(stream)
    with ui.step("bake"), ui.progress("upload", 10) as total:
        total.advance(10)
        ui.note("an [odd] line")
    assert "an [odd] line\n" in stream.text


@pytest.mark.parametrize(
    ("environment", "colour", "live"),
    [({}, True, True), ({"NO_COLOR": "1"}, False, True), ({"TERM": "dumb"}, False, False)],
)
def test_colour_and_the_live_display_follow_the_environment(
    environment: dict[str, str], colour: bool, live: bool
) -> None:
    stream = Terminal()
    ui = _ui(stream, environment=environment)
    with ui.step("bake"):
        pass
    assert ("\x1b[32m" in stream.text) is colour
    assert ("\x1b[?25l" in stream.text) is live


def test_a_stream_without_unicode_gets_words() -> None:
    stream = Terminal(terminal=False, encoding="ascii")
    with _ui(stream).step("bake"):
        pass
    assert stream.text == "bake ...\nok bake  0.0s\n"


@pytest.mark.parametrize(
    ("answer", "agreed"), [("y\n", True), ("Yes\n", True), ("\n", False), ("n\n", False), ("", False)]
)
def test_confirm_asks_on_a_terminal(answer: str, agreed: bool) -> None:
    stream = Terminal()
    assert _ui(stream, answers=Terminal(answer)).confirm("Delete `prod`?") is agreed
    # What is typed ends its line; the end of the input does not.
    assert stream.text == "Delete `prod`? [y/N] " + ("" if answer else "\n")


@pytest.mark.parametrize("error", [Interrupted("interrupted", "by SIGINT", hint="Go on"), KeyboardInterrupt()])
def test_interruption_at_a_question_says_on_its_own_line_that_nothing_was_changed(error: BaseException) -> None:
    class Typing(Terminal):
        def readline(self, _: int = -1) -> str:  # type: ignore[override]
            raise error

    stream = Terminal()
    with pytest.raises(Interrupted, match="nothing was changed"):
        _ui(stream, answers=Typing()).confirm("Delete `prod`?")
    assert stream.text == "Delete `prod`? [y/N] \n"


@pytest.mark.parametrize(
    ("stream", "answers"), [(Terminal(terminal=False), Terminal("y")), (Terminal(), Terminal("y", terminal=False))]
)
def test_confirm_without_a_terminal_names_the_flag(stream: Terminal, answers: Terminal) -> None:
    with pytest.raises(UsageError) as caught:
        _ui(stream, answers=answers).confirm("Delete `prod`?")
    assert "--yes" in caught.value.hint


def test_yes_answers_without_asking() -> None:
    stream = Terminal(terminal=False)
    assert _ui(stream, assume_yes=True).confirm("Delete `prod`?")
    assert stream.text == ""


def test_text_of_others_does_not_drive_the_terminal() -> None:
    stream = Terminal(terminal=False)
    ui, text = _ui(stream, verbosity=1), "AMI \x1b[2J\x9b1A\r\u202e"
    for say in (ui.note, ui.detail, ui.warn):
        say(text)
    with ui.step(text) as report:
        report.done(text)
    assert [line.count(r"AMI \x1b[2J\x9b1A\r\u202e") for line in stream.text.splitlines()] == [1, 1, 1, 1, 2]
    assert all(character.isprintable() for character in stream.text.replace("\n", ""))


def test_digests_are_short_in_every_line() -> None:
    stream = Terminal(terminal=False)
    ui, digest = _ui(stream), f"sha256:{'0123456789abcdef' * 4}"
    ui.note(f"image {digest}")
    with ui.step(f"create a release: image {digest}") as report:
        report.done(digest)
    assert stream.text == (
        "image sha256:0123456789ab\ncreate a release: image sha256:0123456789ab …\n"
        "✓ create a release: image sha256:0123456789ab  0.0s  sha256:0123456789ab\n"
    )
