"""A headless Chromium, spoken to over two pipes: it opens no port and reaches no network.

Source: the DevTools protocol; with `--remote-debugging-pipe`, messages are JSON that ends with a NUL byte, read from descriptor 3 and
written to descriptor 4.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-pipe",
)
PATIENCE_S = 60


class Page:
    """One page; `troubles` are the errors and warnings of its console, `requests` the addresses that it asked for."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._pending, self._number, self._session, self._loaded = b"", 0, "", False
        self.troubles: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and give its result; what happens in the page meanwhile is noted."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            answer = self._read(deadline_s)
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def open(self, path: Path) -> None:
        """Load a page and wait until its script has run to its end."""
        self._loaded, deadline_s = False, time.monotonic() + PATIENCE_S
        self.call("Page.navigate", url=path.as_uri())
        while not self._loaded:
            self._note(self._read(deadline_s))
        self.until("document.documentElement.dataset.ready === 'true'")

    def evaluate(self, script: str) -> Any:
        """The value of an expression; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait until an expression holds, looking at it once per picture that the browser draws."""
        script = (
            f"new Promise(done => {{ const look = () => ({condition}) ? done(true) : setTimeout(look, 15); look(); }})"
        )
        assert self.evaluate(script) is True

    def press(self, key: str) -> None:
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def click(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def shape(self, width: int, height: int, *, dark: bool = False, scale: float = 1) -> None:
        """Size of the window in CSS pixels, and which colours its user prefers."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )
        self.call("Emulation.setEmulatedMedia", features=features)

    def screenshot(self, *, whole: bool = False) -> bytes:
        """A PNG of the window, or of the whole page."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(shot["data"])

    def _read(self, deadline_s: float) -> dict[str, Any]:
        while b"\0" not in self._pending:
            ready, _, _ = select.select([self._from], [], [], max(0.0, deadline_s - time.monotonic()))
            assert ready, f"the browser said nothing for {PATIENCE_S} s"
            chunk = os.read(self._from, 1 << 20)
            assert chunk, "the browser ended"
            self._pending += chunk
        message, _, self._pending = self._pending.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer

    def _note(self, event: dict[str, Any]) -> None:
        told = event.get("params", {})
        match event.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Runtime.exceptionThrown":
                self.troubles.append(json.dumps(told["exceptionDetails"])[:500])
            case "Runtime.consoleAPICalled" if told["type"] in {"error", "warning", "assert"}:
                self.troubles.append(json.dumps(told["args"])[:500])
            case "Log.entryAdded" if told["entry"]["level"] in {"error", "warning"}:
                self.troubles.append(told["entry"]["text"])


@contextmanager
def open_browser() -> Iterator[Page]:
    """Skips where there is no Chromium."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs chromium: opens the analyzer's report in a real browser")
    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else [*FLAGS]
    to_browser, from_browser = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        # A shell puts the pipes where the browser looks for them.
        command = ["bash", "-c", f'exec "$@" 3<&{to_browser[0]} 4>&{from_browser[1]}', "bash", program, *flags]
        with subprocess.Popen(
            [*command, f"--user-data-dir={profile}"],
            pass_fds=(to_browser[0], from_browser[1]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as browser:
            os.close(to_browser[0])
            os.close(from_browser[1])
            try:
                yield Page(to_browser[1], from_browser[0])
            finally:
                # The end of its pipe ends the browser and all its children.
                os.close(to_browser[1])
                os.close(from_browser[0])
                try:
                    browser.wait(10)
                except subprocess.TimeoutExpired:
                    browser.kill()
