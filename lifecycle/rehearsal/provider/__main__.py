"""`python -m lifecycle.rehearsal.provider ENGINE`: what the Pulumi engine starts as `pulumi-resource-aws`."""

import os
import select
import signal
import sys
import threading
from concurrent import futures

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from lifecycle.rehearsal.provider.servicer import AwsProvider

_MESSAGE_LIMIT = [("grpc.max_receive_message_length", 400 << 20)]


def end_with(parent: int) -> None:
    """Exit as soon as the process `parent` is gone, whatever is under way: nobody is left to record what it would make."""
    try:
        watched = os.pidfd_open(parent)
    except ProcessLookupError:
        os._exit(1)

    def watch() -> None:
        select.select([watched], [], [])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> int:
    """Serve the engine that started this process."""
    return serve(os.getppid())


def serve(engine: int) -> int:
    """Serve on a loopback port, which is printed on stdout, until the process `engine` cancels or ends."""
    end_with(engine)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), options=_MESSAGE_LIMIT)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(AwsProvider(os.environ), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: server.stop(grace=5))
    print(port, flush=True)
    server.wait_for_termination()
    return 0


if __name__ == "__main__":
    sys.exit(main())
