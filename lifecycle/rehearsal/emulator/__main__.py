"""`python -m lifecycle.rehearsal.emulator`: run until a signal, or until the process that started it ends."""

from __future__ import annotations

import argparse
import json
import logging
import os
import select
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from lifecycle.rehearsal.emulator.server import EmulatorServer
from lifecycle.rehearsal.machine import REHEARSAL_VARIABLE


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lifecycle.rehearsal.emulator", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--state", type=Path, required=True, help="directory for AMI contents and machines")
    parser.add_argument("--rehearsal", required=True, help="id that every process and container carries")
    parser.add_argument("--registry", help="HOST:PORT of the container registry behind ECR")
    parser.add_argument("--ssh-port", type=int, default=0, help="port of every machine's sshd; 0 takes a free one")
    parser.add_argument("--rootfs", type=Path, help="root filesystem of the base AMI; without it instances are records")
    parser.add_argument(
        "--no-engine", metavar="WHY", help="run jobs as processes even where a container engine answers"
    )
    parser.add_argument("--stop-grace-s", type=int, default=30, help="seconds between SIGTERM and SIGKILL for a job")
    parser.add_argument(
        "--relation-s",
        type=float,
        default=0.0,
        help="seconds that a deleted queue still keeps its compute environment from being deleted; on AWS up to a minute",
    )
    parser.add_argument("--orphan", action="store_true", help="go on when the process that started this one ends")
    return parser.parse_args(arguments)


def watch_parent(stop: threading.Event) -> None:
    """Set `stop` when the parent process ends.

    A pidfd instead of the kernel's parent-death signal: that one fires when the parent's *thread* ends, which may be long before.
    """
    try:
        parent = os.pidfd_open(os.getppid())
    except ProcessLookupError:
        stop.set()
        return

    def wait() -> None:
        select.select([parent], [], [])
        stop.set()

    threading.Thread(target=wait, name="parent-watch", daemon=True).start()


def main(arguments: Sequence[str] | None = None, *, server_type: type[EmulatorServer] = EmulatorServer) -> int:
    """Print one line of JSON when the emulator answers, then serve.

    Returns: 0 after a signal or the parent's end; 1 when the port is taken or the state directory cannot be used.
    """
    options = parse(arguments)
    if arguments is None and os.environ.get(REHEARSAL_VARIABLE) != options.rehearsal:
        # A process is found by the environment it was started with, so start this one again with the mark in it.
        os.execve(sys.executable, sys.orig_argv, {**os.environ, REHEARSAL_VARIABLE: options.rehearsal})
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for noisy in ("werkzeug", "botocore", "urllib3", "docker"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if not options.orphan:
        watch_parent(stop)
    try:
        server = server_type(
            port=options.port,
            state=options.state.resolve(),
            rehearsal=options.rehearsal,
            registry=options.registry,
            ssh_port=options.ssh_port,
            rootfs=options.rootfs.resolve() if options.rootfs else None,
            no_engine=options.no_engine,
            stop_grace_s=options.stop_grace_s,
            relation_s=options.relation_s,
        )
    except (OSError, SystemExit) as err:
        # werkzeug ends the process by itself when it cannot bind.
        print(
            f"the emulator cannot start on port {options.port} with state in `{options.state}`: {err}", file=sys.stderr
        )
        return 1
    server.start()
    print(json.dumps(server.facts()), flush=True)
    stop.wait()
    server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
