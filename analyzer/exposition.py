"""Metrics in Prometheus' text format 0.0.4, and a small server for processes that have no other.

Source: "Text-based format", Prometheus documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from analyzer.emf import LABELS
from analyzer.errors import Mismatch
from analyzer.readings import Metric, Reading

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "analyzer_"
_COUNTERS = (Metric.SEGMENTS_COMMITTED, Metric.DECODE_ERRORS, Metric.ANALYSES_ENDED)
_HELP = {
    Metric.DECODE_FPS: "Frames decoded per second, in the last segment",
    Metric.INFER_FPS: "Pictures per second while the model works, in the last segment",
    Metric.QUEUE_BYTES: "The most that waited, in the last segment",
    Metric.BATCH_FILL_RATIO: "Pictures in a batch as a share of its room",
    Metric.STAGE_BUSY_RATIO: "Share of the last segment's time in which the stage worked",
    Metric.GPU_MEM_FREE: "Bytes free on all GPUs",
    Metric.SEGMENTS_COMMITTED: "Segments committed",
    Metric.DECODE_ERRORS: "Packets and frames that did not decode",
    Metric.CAPTION_SECONDS: "Seconds per caption",
    Metric.COLD_START_SECONDS: "Seconds before the first frame, by phase",
    Metric.ANALYSES_WAITING: "Analyses that wait for their turn",
    Metric.ANALYSES_RUNNING: "Analyses that run, at most 1",
    Metric.ANALYSES_ENDED: "Analyses that ended, by outcome",
}


def exposition(readings: Sequence[Reading]) -> str:
    """One block per metric; counters end in `_total`, captions are a summary."""
    lines = []
    for metric in Metric:
        found = [each for each in readings if each.name is metric]
        if found:
            lines += _block(metric, found)
    return "".join(f"{line}\n" for line in lines)


def _block(metric: Metric, readings: Sequence[Reading]) -> list[str]:
    name, kind = f"{PREFIX}{metric}", "gauge"
    if metric in _COUNTERS:
        name, kind = f"{name}_total", "counter"
    if metric is Metric.CAPTION_SECONDS:
        (reading,) = readings
        samples = [f"{name}_sum {reading.total!r}", f"{name}_count {reading.count}"]
        kind = "summary"
    else:
        samples = [f"{name}{_labels(metric, each)} {float(each.total)!r}" for each in readings]
    return [f"# HELP {name} {_HELP[metric]}", f"# TYPE {name} {kind}", *samples]


def _labels(metric: Metric, reading: Reading) -> str:
    # Labels are words of this program: nothing in them needs escaping.
    return f'{{{LABELS[metric]}="{reading.label}"}}' if reading.label else ""


def serve_metrics(host: str, port: int, readings: Callable[[], Sequence[Reading]]) -> ThreadingHTTPServer:
    """Answer `GET /metrics` in a thread; `server_address` says where, and `shutdown` ends it. Raises: Mismatch."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path.partition("?")[0] == "/metrics"
            body = exposition(readings()).encode() if found else b"See /metrics\n"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """A scrape every few seconds is no news."""

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except (OSError, OverflowError) as error:
        what = f"`{host}:{port}` cannot be listened on: {error}"
        raise Mismatch("address-unusable", what, hint="Name another `--metrics-port`") from error
    server.daemon_threads = True
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
