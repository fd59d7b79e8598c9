"""How a request ends that the server's end cuts off."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analyzer.server.limits import fault


class AnswersWhenCancelled:
    """The server cancels what does not end in time: that is answered with 503 where there is no answer yet, and raises nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except asyncio.CancelledError:
            if not has_begun:
                what = "The server ends before it could answer"
                await fault(503, "server-ends", what, "Ask again when it is back")(scope, receive, send)
