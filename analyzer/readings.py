"""What can be measured of the pipeline and its server, and what a measurement looks like on its way out of the process."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# CloudWatch takes no more values of one metric in one line.
VALUES_MAX = 100


class Metric(StrEnum):
    """Names, as a user reads them on a dashboard."""

    DECODE_FPS = "decode_fps"
    INFER_FPS = "infer_fps"
    QUEUE_BYTES = "queue_bytes"
    BATCH_FILL_RATIO = "batch_fill_ratio"
    STAGE_BUSY_RATIO = "stage_busy_ratio"
    GPU_MEM_FREE = "gpu_mem_free"
    SEGMENTS_COMMITTED = "segments_committed"
    DECODE_ERRORS = "decode_errors"
    CAPTION_SECONDS = "caption_seconds"
    COLD_START_SECONDS = "cold_start_seconds"
    ANALYSES_WAITING = "analyses_waiting"
    ANALYSES_RUNNING = "analyses_running"
    ANALYSES_ENDED = "analyses_ended"


# Of a server, which knows them at any time; laps do not have them.
SERVICE = (Metric.ANALYSES_WAITING, Metric.ANALYSES_RUNNING, Metric.ANALYSES_ENDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One metric of one lap: `values` are its measurements, `total` and `count` their sum and number since the process began.

    `label` says of which model, stage or phase; empty for a metric of the whole.
    """

    name: Metric
    label: str = ""
    values: tuple[float, ...]
    total: float = 0.0
    count: int = 0


def gauge(name: Metric, value: float, label: str = "") -> Reading:
    """What stands at `value` now."""
    return Reading(name=name, label=label, values=(value,), total=value, count=1)
