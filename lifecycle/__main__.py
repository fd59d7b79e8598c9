"""`python -m lifecycle` is `capctl`."""

import signal


def main() -> None:
    """The console script."""
    # Until the command line has a handler of its own, Ctrl-C shall end it without a traceback of what is being imported.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from lifecycle.cli.main import main as command_line

    command_line()


if __name__ == "__main__":
    main()
