"""Which detections are the same human: within one frame, and over time."""

from analyzer.track.associate import Sighting, pair_faces
from analyzer.track.tracker import Track, Tracker

__all__ = ["Sighting", "Track", "Tracker", "pair_faces"]
