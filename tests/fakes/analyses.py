"""Result documents of the analyzer, in every part of which there is something."""

from __future__ import annotations

from typing import Any

# What a page must show as text, and must never take for markup or for the end of a script.
HOSTILE = 'A man </script><script>alert(1)</script> & "two" dogs <!-- \u2028 ]]>'
FILE = {"path": "models/age-v1.onnx", "bytes": 10_768_819, "sha256": "4f" * 32, "mode": "0444"}


def detection(pts_ms: int, index: int, track: int | None, label: str, left: float, **more: Any) -> dict[str, Any]:
    """A box a fifth as wide and half as high as the picture (a face: a tenth and a fifth), its upper side at 0.3."""
    width, height = (0.2, 0.5) if label == "person" else (0.1, 0.2)
    box = {"left": left, "top": 0.3, "width": width, "height": height}
    found = {"pts_ms": pts_ms, "index": index, "track": track, "label": label, "score": 1.25, "source": "hog-scan"}
    return {**found, "box": box, "face_of": None, **more}


def analysis(**changes: Any) -> dict[str, Any]:
    """Ten seconds at 2 fps: track 1, a woman with a face, walks from left to right until 4 s; track 2, a face alone, stays.

    A part is skipped, a packet did not decode; one detection belongs to no track. `changes` replace whole entries.
    """
    detections = []
    for step in range(9):
        at_ms, left = 500 * step, 0.05 * step
        detections.append(detection(at_ms, 0, 1, "person", left))
        detections.append(detection(at_ms, 1, 1, "face", left + 0.05, face_of=0))
    detections += [detection(at_ms, 2, 2, "face", 0.8) for at_ms in (1000, 1500, 2000)]
    detections.append(detection(3000, 2, None, "person", 0.7))
    detections.sort(key=lambda each: (each["pts_ms"], each["index"]))
    document = {
        "schema": "capctl.analysis/1",
        "session_id": "clip-1",
        "status": "partial",
        "attempt": 2,
        "video": {
            "container": "mov,mp4,m4a,3gp,3g2,mj2",
            "codec": "h264",
            "size_bytes": 123_456,
            "width": 640,
            "height": 480,
            "rotation": 90,
            "duration_ms": 10_000,
            "fps": 25.0,
            "variable_rate": True,
        },
        "coverage": {
            "decoded_ms": 8000,
            "total_ms": 10_000,
            "frames": 190,
            "sampled_frames": 15,
            "errors": 1,
            "first_error": "InvalidDataError: Invalid data found",
            "skipped": [{"start_ms": 8000, "end_ms": None, "reason": "two attempts died in it"}],
        },
        "notes": [{"code": "captioner-given-up", "message": "From scene 2 on there are no captions"}],
        "segments": [
            {
                "segment": 0,
                "start_ms": 0,
                "end_ms": 8000,
                "state": "done",
                "frames": 190,
                "sampled_frames": 15,
                "errors": 1,
            },
            {
                "segment": 1,
                "start_ms": 8000,
                "end_ms": 10_000,
                "state": "skipped",
                "frames": 0,
                "sampled_frames": 0,
                "errors": 0,
            },
        ],
        "tracks": [
            {
                "track": 1,
                "label": "person",
                "first_ms": 0,
                "last_ms": 4000,
                "sightings": 9,
                "age": {"mean": 36.2, "low": 28.5, "high": 44.0},
                "gender": {"value": "female", "confidence": 0.98},
                "attribute_samples": 8,
                "orientation": {"degrees": 355.0, "confidence": 0.9},
                "thumbnails": {"face": "thumbnails/track-0001-face.jpg", "person": "thumbnails/track-0001-person.jpg"},
            },
            {
                "track": 2,
                "label": "face",
                "first_ms": 1000,
                "last_ms": 2000,
                "sightings": 3,
                "age": None,
                "gender": None,
                "attribute_samples": 0,
                "orientation": None,
                "thumbnails": {},
            },
        ],
        "scenes": [
            {
                "scene": 1,
                "start_ms": 0,
                "end_ms": 5000,
                "frame_ms": 2500,
                "caption": {"text": HOSTILE, "finished": False},
                "thumbnail": "thumbnails/scene-0001.jpg",
            },
            {"scene": 2, "start_ms": 5000, "end_ms": 8000, "frame_ms": 6500, "caption": None, "thumbnail": None},
        ],
        "models": {
            "digest": "sha256:" + "ab" * 32,
            "read_only": True,
            "mounts": [{"folder": "models", "read_only": True}],
            "absent_folders": ["checkpoints"],
            "files": [FILE],
        },
        "backend": {
            "detector": {"name": "opencv", "version": "4.12.0"},
            "attributes": {"name": "dlib", "age": FILE},
            "orientation": {"name": "none"},
            "captioner": {"name": "fastvlm", "prompt": "Describe the picture."},
            "embedding": {"name": "appearance", "space": "appearance-176", "dimension": 176},
            "sampling": {"mode": "fps", "fps": 2.0},
        },
        "resources": {"gpu_memory_peak_bytes": None, "memory_peak_bytes": 210_000_000, "cpu_ms": 4200},
        "stored": {"store": "jsonl", "rows": {"analysis_tracks": 2}},
        "timings": {"models_ms": 120, "analyse_ms": 2100, "total_ms": 2300},
        "timeline": {"begun_ms": 1_790_000_000_000, "models_ms": 1_790_000_000_120, "done_ms": 1_790_000_002_300},
        "detections": detections,
    }
    return document | changes
