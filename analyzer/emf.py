"""Metrics as CloudWatch's embedded metric format: JSON in the job's log, which CloudWatch turns into metrics without an agent.

Source: "Specification: Embedded metric format", Amazon CloudWatch User Guide. Dimensions are few and never a session's: each
combination of their values is a metric that is paid for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analyzer.readings import Metric, Reading

NAMESPACE = "capctl/analyzer"
UNITS = {
    Metric.DECODE_FPS: "Count/Second",
    Metric.INFER_FPS: "Count/Second",
    Metric.QUEUE_BYTES: "Bytes",
    Metric.BATCH_FILL_RATIO: "None",
    Metric.STAGE_BUSY_RATIO: "None",
    Metric.GPU_MEM_FREE: "Bytes",
    Metric.SEGMENTS_COMMITTED: "Count",
    Metric.DECODE_ERRORS: "Count",
    Metric.CAPTION_SECONDS: "Seconds",
    Metric.COLD_START_SECONDS: "Seconds",
    Metric.ANALYSES_WAITING: "Count",
    Metric.ANALYSES_RUNNING: "Count",
    Metric.ANALYSES_ENDED: "Count",
}
# What the label of a metric says.
LABELS = {
    Metric.INFER_FPS: "model",
    Metric.QUEUE_BYTES: "stage",
    Metric.STAGE_BUSY_RATIO: "stage",
    Metric.COLD_START_SECONDS: "phase",
    Metric.ANALYSES_ENDED: "outcome",
}


def documents(readings: Sequence[Reading], *, backend: str, now_ms: int) -> list[dict[str, Any]]:
    """One document per label; `now_ms` is in milliseconds since the epoch, `backend` the dimension that all have."""
    groups: dict[tuple[str, str], list[Reading]] = {}
    for each in readings:
        groups.setdefault((LABELS.get(each.name, ""), each.label), []).append(each)
    return [_document(kind, label, each, backend, now_ms) for (kind, label), each in groups.items()]


def _document(kind: str, label: str, readings: Sequence[Reading], backend: str, now_ms: int) -> dict[str, Any]:
    dimensions = {"backend": backend, **({kind: label} if kind else {})}
    metrics = [{"Name": str(each.name), "Unit": UNITS[each.name]} for each in readings]
    directive = {"Namespace": NAMESPACE, "Dimensions": [list(dimensions)], "Metrics": metrics}
    values = {str(each.name): each.values[0] if len(each.values) == 1 else list(each.values) for each in readings}
    return {"_aws": {"Timestamp": now_ms, "CloudWatchMetrics": [directive]}, **dimensions, **values}
