"""The video of a smoke job: the one that the configuration names, or the clip that ships with capctl."""

from dataclasses import dataclass

from lifecycle.config.target import Target
from lifecycle.domain.golden_clip import CLIP, CLIP_NAME, CLIP_SHA256
from lifecycle.domain.layout import Folder
from lifecycle.domain.measures import size_text
from lifecycle.domain.permissions import READ_OBJECTS
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.ports.objects import ObjectStore
from lifecycle.workflows.jobs import require_reachable


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeVideo:
    """`min_tracks` is how many tracks the job must find in it; `is_golden`: it is the clip of capctl itself."""

    url: str
    is_golden: bool
    min_tracks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreClip:
    """Put capctl's own clip into the bucket, where smoke jobs read it."""

    ports: Ports
    target: Target
    permissions: tuple[str, ...] = (*READ_OBJECTS, "s3:PutObject")

    def describe(self) -> str:
        return f"put the generated clip at {_clip_uri(self.target)}"

    def apply(self) -> str:
        uri = _clip_uri(self.target)
        # With its digest recorded, by which a later run knows it.
        self.ports.objects.put(CLIP, uri, sha256=CLIP_SHA256, progress=lambda _: None)
        return size_text(CLIP.stat().st_size)

    def verify(self, _: str) -> None:
        if not _has_clip(self.ports.objects, self.target):
            raise CapctlError(
                "object-missing",
                f"`{_clip_uri(self.target)}` is not the clip after it was put there",
                hint="Somebody removed or replaced it meanwhile: run the command again",
                may_pass=True,
            )


def smoke_video(target: Target) -> SmokeVideo:
    """What a smoke of the target analyses. Raises `UsageError("video-out-of-reach")`."""
    wanted = target.settings.smoke
    if wanted.video_url is None:
        # A drawing is no person to every detector.
        return SmokeVideo(url=_clip_uri(target), is_golden=True, min_tracks=wanted.min_tracks or 0)
    require_reachable(target, wanted.video_url)
    return SmokeVideo(
        url=wanted.video_url, is_golden=False, min_tracks=1 if wanted.min_tracks is None else wanted.min_tracks
    )


def has_smoke_video(ports: Ports, target: Target) -> bool:
    """Whether the video is there; where it is not, `StoreClip` puts it there.

    Raises `CapctlError("video-missing")` for one that the configuration names, since the job's failure would say nothing of its release,
    and `UsageError("video-out-of-reach")`.
    """
    video = smoke_video(target)
    if video.is_golden:
        return _has_clip(ports.objects, target)
    if ports.objects.find(video.url) is None:
        raise CapctlError(
            "video-missing",
            f"There is no video `{video.url}`, which `smoke.video_url` names",
            hint="Copy the video there, or remove the line: the smoke then takes a clip of its own",
        )
    return True


def _clip_uri(target: Target) -> str:
    return target.uri(Folder.SAMPLES, CLIP_NAME)


def _has_clip(objects: ObjectStore, target: Target) -> bool:
    found = objects.find(_clip_uri(target))
    return found is not None and found.sha256 == CLIP_SHA256
