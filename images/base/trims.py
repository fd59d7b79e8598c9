"""Which files of the locked packages the base leaves out: those that no job can use, and what the configuration adds.

Patterns are relative to the site folder, as `images/globs.py` reads them. Standard library only: the image build runs this too.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from images.globs import matches

# Services that the job talks to; boto3 loads the description of a service when its client is made.
AWS_SERVICES = ("batch", "dynamodb", "ecr", "ecs", "logs", "s3", "secretsmanager", "sqs", "sts")

LEFT_OUT = (
    # Descriptions of the other services.
    "botocore/data/*/**",
    "boto3/data/*/**",
    "boto3/examples/**",
    # Classifiers besides the usual ones of faces.
    "cv2/data/**",
    # What makes, converts and quantises models, most of which needs `onnx` or `torch`.
    "onnxruntime/datasets/**",
    "onnxruntime/quantization/**",
    "onnxruntime/tools/**",
    "onnxruntime/transformers/**",
    # The C library: the Python module holds the whole runtime itself and does not load this one.
    "onnxruntime/capi/libonnxruntime.so.*",
    # What builds C and Fortran extensions, and extension modules that only numpy's own tests load.
    "numpy/distutils/**",
    "numpy/f2py/**",
    "numpy/_core/_simd.*",
    "numpy/_core/_*_tests.*",
    "pip/**",
    "pip-*/**",
    "**/tests/**",
    # What type checkers, compilers and linkers read.
    "**/*.pyi",
    "**/*.pxd",
    "**/*.pyx",
    "**/*.h",
    "**/*.hpp",
    "**/*.a",
    "**/*.lib",
)
KEPT = (
    *(f"{folder}/data/{service}/**" for folder in ("botocore", "boto3") for service in AWS_SERVICES),
    "cv2/data/__init__.py",
    "cv2/data/haarcascade_eye_tree_eyeglasses.xml",
    "cv2/data/haarcascade_frontalface_alt2.xml",
    "cv2/data/haarcascade_frontalface_default.xml",
    # numpy.testing, which other packages import at run time, takes a class from this one file.
    "numpy/_core/tests/__init__.py",
    "numpy/_core/tests/_natype.py",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trims:
    """What the configuration says: `leave_out` and `keep` go before the patterns above, and `keep` before `leave_out`.

    `share_ffmpeg`: whether OpenCV may use PyAV's FFmpeg instead of its own.
    """

    leave_out: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    share_ffmpeg: bool = True

    def leaves_out(self, path: str) -> bool:
        """Whether the file at `path`, relative to the site folder, is left out."""
        if matches(path, self.keep):
            return False
        return matches(path, self.leave_out) or (matches(path, LEFT_OUT) and not matches(path, KEPT))

    def document(self) -> bytes:
        """As JSON, which `read_trims` reads."""
        return json.dumps(asdict(self), sort_keys=True).encode()


def read_trims(path: Path) -> Trims:
    """What `Trims.document` wrote."""
    said = json.loads(path.read_bytes())
    return Trims(leave_out=tuple(said["leave_out"]), keep=tuple(said["keep"]), share_ffmpeg=said["share_ffmpeg"])
