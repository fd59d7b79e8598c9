"""The first release and no more: the stage that `--keep` hands over soonest to who wants to type commands."""

from lifecycle.rehearsal.commands import Capctl
from lifecycle.rehearsal.recorder import Recorder
from lifecycle.rehearsal.scenes.release import play_first
from lifecycle.rehearsal.scenes.release import to_try as to_try
from lifecycle.rehearsal.stage import Stage


def play(stage: Stage, capctl: Capctl, record: Recorder) -> None:
    """The beginning of the whole life."""
    play_first(stage, capctl, record)
