"""ONNX Runtime, imported with its reporting switched off."""

from __future__ import annotations

import os

# The official Linux wheels report to Microsoft over HTTPS from their import on (Privacy.md in the wheel). A job that
# sees customers' videos must not talk to third parties, and the library reads this variable only once.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

__all__ = ["onnxruntime"]
