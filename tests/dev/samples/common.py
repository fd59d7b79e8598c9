"""Values that documents of several subjects show."""

from lifecycle.domain.check import Check
from lifecycle.domain.checkout import Checkout
from lifecycle.domain.digest import digest_of
from lifecycle.domain.image import TaggedImage
from lifecycle.domain.models import ModelFile, ModelSet
from lifecycle.domain.usage import Unread
from lifecycle.ports.code import CodeLayer
from tests.fakes.releases import make_release

AT = "2026-11-21T15:07:02+00:00"

MODELS = ModelSet(files=(ModelFile(path="models/age.onnx", bytes=3, sha256=digest_of(b"age").removeprefix("sha256:")),))

UNREAD = (Unread(source="releases", why="The state cannot be read"),)

RELEASE = make_release()

CHECKS = (Check(name="tracks", ok=False, expected="at least 1", found="0"),)

TAGGED = TaggedImage(ref=RELEASE.image, tag="base-0123456789ab")

LAYER = CodeLayer(
    treehash=digest_of(b"tree"), tag="code-0123456789abcdef", files=3, unpacked_bytes=900, compressed_bytes=300
)

SOURCE = Checkout(
    commit="0123456789abcdef0123456789abcdef01234567",
    uncommitted=("analyzer/cli.py",),
    untracked=("analyzer/defaults.json",),
)
