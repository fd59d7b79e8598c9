"""A registry that is some milliseconds away: a relay before the real one, which holds every byte back for half a round trip."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

_PIECE_BYTES = 1 << 16


@contextmanager
def relayed(url: str, *, round_trip_s: float) -> Iterator[str]:
    """Another address of the registry at `url`, as long as the `with` block lasts."""
    place = urlsplit(url)
    loop = asyncio.new_event_loop()

    async def serve() -> asyncio.Server:
        return await asyncio.start_server(
            lambda reader, writer: _relay(reader, writer, place.hostname or "", place.port or 80, round_trip_s),
            "127.0.0.1",
            0,
        )

    server = loop.run_until_complete(serve())
    thread = threading.Thread(target=loop.run_forever, name="far registry")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _relay(
    near: asyncio.StreamReader, back: asyncio.StreamWriter, host: str, port: int, round_trip_s: float
) -> None:
    # Cancelled at the end; asyncio reports that of who answers a connection as an error.
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(round_trip_s)  # which it takes to connect
        far, onward = await asyncio.open_connection(host, port)
        try:
            await asyncio.gather(_carry(near, onward, round_trip_s / 2), _carry(far, back, round_trip_s / 2))
        finally:
            onward.close()
            back.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    """Pieces leave in the order and at the distance in which they came, so that only the delay counts, and no rate."""
    loop = asyncio.get_running_loop()
    with suppress(ConnectionError):
        while piece := await reader.read(_PIECE_BYTES):
            loop.call_later(delay_s, writer.write, piece)
        await asyncio.sleep(delay_s)
        if writer.can_write_eof():
            writer.write_eof()


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
