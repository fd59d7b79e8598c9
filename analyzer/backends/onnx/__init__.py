"""Networks that a user exports to ONNX, behind the protocols of `analyzer.backends.base`; each module names its source."""
