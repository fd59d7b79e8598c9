"""Which files of the packages the base leaves out."""

from pathlib import Path

import pytest

from images.base.trims import Trims, read_trims


@pytest.mark.parametrize(
    ("path", "trimmed"),
    [
        ("botocore/data/s3/2006-03-01/service-2.json.gz", False),
        ("botocore/data/ec2/2016-11-15/service-2.json.gz", True),
        ("botocore/data/ecr-public/2020-10-30/service-2.json.gz", True),
        ("botocore/data/endpoints.json", False),
        ("cv2/data/haarcascade_frontalface_default.xml", False),
        ("cv2/data/haarcascade_smile.xml", True),
        ("cv2/data/__init__.py", False),
        ("boto3/data/s3/2006-03-01/resources-1.json", False),
        ("boto3/data/ec2/2016-11-15/resources-1.json", True),
        ("onnxruntime/datasets/sigmoid.onnx", True),
        ("onnxruntime/quantization/quantize.py", True),
        ("onnxruntime/capi/libonnxruntime.so.1.31.1", True),
        ("onnxruntime/capi/onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so", False),
        ("numpy/_core/tests/test_umath.py", True),
        ("numpy/_core/tests/_natype.py", False),
        ("numpy/_core/_simd.cpython-311-x86_64-linux-gnu.so", True),
        ("numpy/_core/_umath_tests.cpython-311-x86_64-linux-gnu.so", True),
        ("numpy/_core/_multiarray_umath.cpython-311-x86_64-linux-gnu.so", False),
        ("numpy/distutils/core.py", True),
        ("numpy/testing/__init__.py", False),
        ("numpy/__init__.pyi", True),
        ("numpy/__init__.py", False),
        ("pip/__init__.py", True),
        ("numpy-2.4.6.dist-info/METADATA", False),
    ],
)
def test_only_what_no_job_can_use_is_left_out(path: str, trimmed: bool) -> None:
    assert Trims().leaves_out(path) is trimmed


def test_configuration_goes_before_what_is_left_out_by_default_and_keeping_before_leaving_out() -> None:
    trims = Trims(leave_out=("cv2/data/**",), keep=("cv2/data/haarcascade_eye.xml", "botocore/data/kinesis/**"))
    assert trims.leaves_out("cv2/data/haarcascade_frontalface_default.xml")
    assert not trims.leaves_out("cv2/data/haarcascade_eye.xml")
    assert not trims.leaves_out("botocore/data/kinesis/2013-12-02/service-2.json.gz")
    assert trims.leaves_out("botocore/data/ec2/2016-11-15/service-2.json.gz")


def test_trims_come_back_from_their_file(tmp_path: Path) -> None:
    trims = Trims(leave_out=("a/**",), keep=("a/b",), share_ffmpeg=False)
    (tmp_path / "trims.json").write_bytes(trims.document())
    assert read_trims(tmp_path / "trims.json") == trims
