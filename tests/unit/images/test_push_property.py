"""Whatever goes wrong with whichever requests of a push: no tag ever names an image that is not whole."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from images.errors import ImageError
from images.registry import RegistryClient
from images.transport import Attempts
from tests.fakes.code_push import push_code
from tests.fakes.registry import Fault, serving
from tests.fakes.registry_calls import EXPIRED
from tests.unit.images.test_code_image import REPO, base_in, tree_of

_TROUBLE = (
    Fault("", "", status=500),
    Fault("", "", status=429, code="TOOMANYREQUESTS", headers={"Retry-After": "1"}),
    Fault("", "", status=503, is_plain=True),
    Fault("", "", status=507),
    Fault("", "", status=403, code="DENIED", message=EXPIRED),
    Fault("", "", status=403, code="DENIED", message=EXPIRED, is_plain=True),
    Fault("", "", status=403, code="DENIED", message="not authorized"),
    Fault("", "", status=416, code="BLOB_UPLOAD_INVALID"),
    Fault("", "", status=404, code="NAME_UNKNOWN"),
    Fault("", "", status=400, code="DIGEST_INVALID"),
    Fault("", "", status=400, code="MANIFEST_BLOB_UNKNOWN"),
    Fault("", "", status=400, code="TAG_INVALID", message="the tag is immutable"),
    Fault("", "", lose_answer=True),
    Fault("", "", reset_after=0),
    Fault("", "", reset_after=40),
    Fault("GET", "", body=b"{}"),
    Fault("GET", "blobs", missing_bytes=7),
    _LOST := Fault("PUT", "uploads", status=201),  # the registry confirms a blob and loses it
)
_faults = st.lists(
    st.tuples(st.sampled_from(_TROUBLE), st.integers(0, 9), st.integers(1, 6)).map(
        lambda drawn: replace(drawn[0], skip=drawn[1], times=drawn[2])
    ),
    max_size=6,
)
_ways = st.fixed_dictionaries({name: st.booleans() for name in ("immutable", "checks_manifests")})
_UNHEARD = Fault("PUT", "manifests", lose_answer=True, times=9)


@settings(max_examples=80)
@given(faults=_faults, ways=_ways, expects_new=st.booleans())
@example(faults=[_UNHEARD], ways={"immutable": True}, expects_new=False)
@example(faults=[_UNHEARD], ways={"immutable": True}, expects_new=True)
def test_a_tag_names_a_whole_image_or_does_not_exist(
    faults: list[Fault], ways: dict[str, bool], expects_new: bool
) -> None:
    # Who loses blobs and takes manifests without a look cannot be helped.
    assume(ways.get("checks_manifests", True) or all(one.status != _LOST.status for one in faults))
    # What was begun beside a failure may still write into its cache.
    with serving() as registry, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        base, tree = base_in(registry), tree_of(folder)
        registry.faults = [replace(one) for one in faults]
        for way, is_on in ways.items():
            setattr(registry, way, is_on)
        tokens = iter(range(1_000_000))
        held = [next(tokens)]

        def push() -> str:
            client = RegistryClient(
                registry.url,
                REPO,
                credentials=lambda: f"Basic {held[0]}",
                forget=lambda _: held.__setitem__(0, next(tokens)),
                attempts=Attempts(sleep=lambda _s: None),
            )
            cache = folder / "cache"
            return push_code(client, base, tree, entrypoint=("x",), cache=cache, expects_new=expects_new).tag

        failure: ImageError | None = None
        try:
            pushed = {(REPO, push())}
        except ImageError as failed:
            # A last answer that was lost hides that the image is there.
            failure, pushed = failed, set(registry.tags)
        assert failure is None or (failure.hint and failure.code != ImageError.code)
        assert registry.tags.keys() == pushed
        assert all(registry.is_complete(*tag) for tag in registry.tags)
        assert len(registry.log) <= 80
        registry.faults.clear()
        assert registry.is_complete(REPO, push())
