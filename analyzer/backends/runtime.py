"""ONNX Runtime, imported with its reporting switched off."""

from __future__ import annotations

import os

# The official Linux wheels report to Microsoft over HTTPS from their import on (Privacy.md in the wheel). A job that
# sees customers' videos must not talk to third parties, and the library reads this variable only once.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

# What goes wrong is told by errors with a type; its own notices would stand between the lines of a job's log.
onnxruntime.set_default_logger_severity(4)

__all__ = ["onnxruntime"]
