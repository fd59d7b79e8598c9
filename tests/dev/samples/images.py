"""Documents about container images."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from images.rules import Violation
from lifecycle.cli import documents, image_documents, image_repository_documents
from lifecycle.domain.digest import digest_of
from lifecycle.domain.hand_run import HandRun, models_elsewhere, run_words, runtime_elsewhere
from lifecycle.domain.image_content import Blob, ImageContent, LocalImage
from lifecycle.domain.image_difference import compared
from lifecycle.domain.image_explanation import explained
from lifecycle.domain.image_needs import Repository
from lifecycle.domain.image_report import Budgets, ImageReport
from lifecycle.domain.image_retention import Freed, ImageFate, ImageVerdict
from lifecycle.domain.lifecycle_policy import Expiring, lifecycle_policy
from lifecycle.domain.plan import Done, Plan
from lifecycle.domain.repository_image import ImageKind, RepositoryImage
from lifecycle.domain.runtime import WantedRuntime
from lifecycle.domain.usage import Use, UseReport
from lifecycle.ports.code import PushedImage
from lifecycle.workflows.image_policy import PolicyReport
from lifecycle.workflows.image_world import ImageScan
from lifecycle.workflows.list_images import ImageList, ListedImage
from lifecycle.workflows.prune_images import DeleteImage, ImagePruning
from tests.dev.samples.common import AT, LAYER, RELEASE, SOURCE, TAGGED, UNREAD
from tests.fakes.image_index import file, image, layer, symbolic_link, whiteout
from tests.fakes.ports import FakePorts
from tests.fakes.targets import make_target

_LISTED_IMAGE = RepositoryImage(
    digest=digest_of(b"image"),
    tags=("code-0123456789abcdef",),
    pushed_at=datetime.fromisoformat(AT),
    pulled_at=datetime.fromisoformat(AT),
    size_bytes=131_000_000,
    media_type="application/vnd.oci.image.manifest.v1+json",
)

_OLD_LISTED_IMAGE = RepositoryImage(
    digest=digest_of(b"old image"),
    pushed_at=datetime.fromisoformat("2026-08-01T00:00:00+00:00"),
    size_bytes=1_000_000,
)

_IMAGE_PRUNING = ImagePruning(
    repository=Repository(images=(_OLD_LISTED_IMAGE,), contents={}, report=UseReport()),
    verdicts=(
        ImageVerdict(
            image=_LISTED_IMAGE,
            kind=ImageKind.CODE,
            fate=ImageFate.KEEP,
            reasons=("used by release 0123456789ab (active)",),
            uses=(),
            freed=Freed(bytes=20_000),
        ),
        ImageVerdict(
            image=_OLD_LISTED_IMAGE,
            kind=ImageKind.OTHER,
            fate=ImageFate.DELETE,
            reasons=("nothing needs it",),
            uses=(),
            freed=Freed(bytes=1_000_000, is_upper_bound=True),
        ),
    ),
    unread=(),
    plan=Plan(title="prune the images of vision", because="1 image is not needed"),
)

_LOCAL = LocalImage(
    name="vision:code-0123456789abcdef",
    content=ImageContent(
        media_type="application/vnd.oci.image.manifest.v1+json",
        manifest=b"manifest",
        config=b"{}",
        layers=(Blob(digest=digest_of(b"layer"), size_bytes=150_000_000),),
        diff_ids=(digest_of(b"unpacked"),),
        platform={"architecture": "amd64", "os": "linux"},
        read=lambda _blob, _start: iter(()),
    ),
)

_RUN = run_words(
    _LOCAL.name,
    HandRun(
        user="1000:1000",
        results="/project/.capctl/by-hand/results",
        models=models_elsewhere(),
        runtime=runtime_elsewhere(),
    ),
    video="/videos/portrait.mp4",
    environment=(),
    gpus=1,
)

_PUSHED = PushedImage(ref=RELEASE.image, tag=LAYER.tag, unchanged=False, requests=6, bytes_sent=1200)

_IMAGE_REPORT = ImageReport(
    ref=RELEASE.image,
    budgets=Budgets(compressed_bytes=300_000_000, unpacked_bytes=500_000_000),
    compressed_bytes=1300,
    unpacked_bytes=1900,
    layers=(digest_of(b"base"), digest_of(b"code")),
    files=103,
    runtime=WantedRuntime(sha256="ab" * 32, mount="/opt/dl-models/runtime"),
    violations=(Violation(code="model-file", message="`a.onnx` is a model", path="a.onnx", layer=digest_of(b"code")),),
)

_IMAGE = image(
    layer(
        file("opt/site/six-1.17.dist-info/METADATA", "Name: six"),
        file("opt/site/six.py", "import sys"),
        symbolic_link("opt/site/cv.libs/libavutil-2.so.60", "../av.libs/libavutil-1.so.60"),
        compressed_bytes=90,
    ),
    layer(file("opt/weights.onnx", "weights"), file("opt/table.csv", "a,b"), compressed_bytes=60),
    layer(file("opt/six.py", "import sys"), whiteout("opt/table.csv"), compressed_bytes=30),
    layer(file("app/job.py", "print(1)"), compressed_bytes=40),
    made_by=(
        "COPY site /opt/site # buildkit",
        "COPY weights.onnx table.csv /opt/ # buildkit",
        "RUN /bin/sh -c cp site/six.py . && rm table.csv # buildkit",
        "capctl image push",
    ),
    Labels={
        "org.opencontainers.image.base.digest": digest_of(b"base"),
        "dev.capctl.python": "3.11",
        "dev.capctl.left-out": "botocore/data/*/** **/tests/**",
        "dev.capctl.kept": "botocore/data/s3/**",
    },
    Env=["LANG=C.UTF-8"],
)

_NEXT_IMAGE = image(
    *_IMAGE.layers[:3],
    layer(
        file("app/job.py", "print(22)", 0o755),
        file("opt/site/six-1.18.dist-info/METADATA", "Name: six"),
        compressed_bytes=50,
    ),
    made_by=_IMAGE.instructions,
    Env=["LANG=C"],
)

_POLICY = PolicyReport(
    policy=lifecycle_policy(bases_beyond=20, code_days=365, untagged_days=90),
    is_in_force=False,
    expiring=(Expiring(digest=RELEASE.image.digest, tags=(LAYER.tag,), pushed_at=datetime.fromisoformat(AT), rule=3),),
    needs={RELEASE.image.digest: (f"release {RELEASE.id} (active)",)},
)

SAMPLES: dict[str, dict[str, Any]] = {
    "code-layer": documents.code_layer(LAYER, SOURCE),
    "image": documents.image(_PUSHED, SOURCE),
    "image-base": documents.image_base(TAGGED, changed=True),
    "image-layout": image_documents.image_layout(Path("layout"), _LOCAL, source=SOURCE, run=_RUN, changed=True),
    "image-load": image_documents.image_load(_LOCAL, digest_of(b"config"), run=_RUN, changed=True),
    "image-diff": image_documents.image_diff(
        compared((RELEASE.image, _IMAGE), (replace(RELEASE.image, digest=digest_of(b"next")), _NEXT_IMAGE))
    ),
    "image-explanation": image_documents.image_explanation(explained(RELEASE.image, _IMAGE, top=10, depth=None)),
    "image-prune": image_repository_documents.image_prune(
        _IMAGE_PRUNING,
        Done(
            results=(
                (DeleteImage(scan=ImageScan(FakePorts(), make_target(Path())), image=_OLD_LISTED_IMAGE), "deleted"),
            )
        ),
        now=datetime.fromisoformat(AT),
    ),
    "images": image_repository_documents.images(
        ImageList(
            images=(
                ListedImage(
                    image=_LISTED_IMAGE,
                    kind=ImageKind.CODE,
                    uses=(Use(of=_LISTED_IMAGE.digest, kind="release", name="0123456789ab", detail="active"),),
                    freed=Freed(bytes=20_000),
                ),
            ),
            others=1,
            cost=Freed(bytes=131_000_000).cost,
            unread=UNREAD,
            at=datetime.fromisoformat(AT),
        )
    ),
    "image-policy": image_repository_documents.image_policy(_POLICY),
    "image-report": documents.image_report(_IMAGE_REPORT),
}
