"""The decoding child: reads a file and nothing else, writes sampled pictures into shared memory and tells of them line by line.

Standard output carries JSON lines (`Message`), standard input the numbers of slots that are free again, one a line.
"""

from __future__ import annotations

import ctypes
import json
import resource
import signal
import sys
import traceback
from pathlib import Path

from analyzer.errors import AnalyzerError
from analyzer.video import container as source
from analyzer.video.messages import Message, Settings
from analyzer.video.reading import HandOver, Reading
from analyzer.video.ring import Teller

_PR_SET_PDEATHSIG = 1


def main() -> None:
    settings = Settings(**json.loads(sys.argv[1]))
    _confine(settings.memory_limit_bytes)
    teller = Teller()
    teller.tell(Message.STARTED)
    try:
        Reading(settings, teller).run()
        teller.tell(Message.END)
    except HandOver as rest:
        teller.tell(Message.AGAIN, careful=rest.careful)
    except AnalyzerError as error:
        teller.tell(Message.FAILED, code=error.code, text=error.message, hint=error.hint)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        teller.tell(Message.FAULT, text=f"{source.told(error)} at {Path(place.filename).name}:{place.lineno}")
        raise SystemExit(1) from None


def _confine(memory_limit_bytes: int) -> None:
    # A key press goes to the whole group; what becomes of the work is the parent's to decide.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_limit_bytes, memory_limit_bytes))


if __name__ == "__main__":
    main()
