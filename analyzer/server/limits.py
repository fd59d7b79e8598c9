"""How much one request may bring: what is longer is refused before it is kept."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A submission is a few hundred bytes; the longest fields that are taken, with every character escaped, fit as well.
BODY_BYTES_MAX = 128 << 10
# As long as a path can be.
TEXT_MAX = 4096


def fault(status: int, code: str, message: str, hint: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """What went wrong, in the one shape that clients read."""
    content = {"error": {"code": code, "message": message, "hint": hint}}
    return JSONResponse(content, status_code=status, headers=headers)


class BodyLimit:
    """Reads a request's body and hands it on whole; answers 413 by itself where it is longer than `BODY_BYTES_MAX`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                # The client has gone; nobody reads an answer.
                return
            # What is too long is read to its end as well, though not kept: before that, many clients read no answer.
            body = (body + message.get("body", b""))[: BODY_BYTES_MAX + 1]
            more = message.get("more_body", False)
        if len(body) > BODY_BYTES_MAX:
            what = f"The request's body is longer than {BODY_BYTES_MAX} bytes"
            await fault(413, "body-too-long", what, "See /openapi.json")(scope, receive, send)
            return
        rest: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replayed() -> Message:
            return rest.pop() if rest else await receive()

        await self._app(scope, replayed, send)
