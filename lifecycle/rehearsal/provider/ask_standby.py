"""`python -I -S ask_standby.py SOCKET ENGINE`: ask the provider that stands by to be one for the engine that started this process.

Imports what starts at once, and nothing of capctl: the engine starts it for each preview and update.
"""

import os
import signal
import socket
import sys


def main() -> int:
    """Returns: the exit code of the provider; 1 when it was killed."""
    own_folder = os.getcwdb()  # noqa: PTH109 - bytes, and no import
    folder, name = os.path.split(sys.argv[1])
    with socket.socket(socket.AF_UNIX) as standby:
        os.chdir(folder)  # the address of a socket is 107 bytes at most
        standby.connect(name)
        variables = [name + b"=" + value for name, value in os.environb.items()]
        request = b"\0".join([b"%d" % os.getppid(), own_folder, *variables])
        socket.send_fds(standby, [len(request).to_bytes(8, "big")], [0, 1, 2])
        standby.sendall(request)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: standby.send(bytes([number])))
        return (standby.recv(1) or b"\1")[0]


if __name__ == "__main__":
    sys.exit(main())
