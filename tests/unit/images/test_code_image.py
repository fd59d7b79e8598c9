from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from images.code_image import CodeSettings, append_code, code_tag, read_base
from images.code_push import CodePush, PushResult
from images.digests import DigestCache, ImageRef
from images.errors import BlobMissing, ManifestUnsupported, RegistryDenied, RegistryUnreachable
from images.layer import CodeTree, build_layer, read_tree
from images.media_types import DOCKER, OCI
from images.registry import RegistryClient
from images.transport import Attempts
from tests.fakes.code_push import push_code
from tests.fakes.registry import Fault

REPO = "job"
BASE_CONFIG: dict[str, Any] = {
    "architecture": "amd64",
    "os": "linux",
    "container": "abc",
    "container_config": {"Cmd": ["/bin/sh"]},
    "x-unknown": 1,
    "config": {"Env": ["PATH=/bin", "LANG=C"], "Labels": {"dev.capctl.python": "3.11"}, "User": "65532", "Cmd": ["x"]},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "a" * 64]},
    "history": [{"created_by": "import"}],
}


def tree_of(folder: Path, text: str = "print(1)\n") -> CodeTree:
    (folder / "code").mkdir(exist_ok=True)
    (folder / "code" / "run.py").write_text(text)
    return read_tree(folder / "code", ["run.py"])


def client_of(registry: Any, repository: str = REPO) -> RegistryClient:
    return RegistryClient(registry.url, repository, attempts=Attempts(sleep=lambda _s: None))


def base_in(registry: Any, family: str = "docker") -> ImageRef:
    return ImageRef(repository=REPO, digest=registry.add_image(REPO, BASE_CONFIG, [b"base layer"], family))


def push(registry: Any, base: ImageRef, tree: CodeTree, folder: Path, **options: Any) -> PushResult:
    options = {"entrypoint": ("python3", "-m", "run"), **options}
    return push_code(client_of(registry), base, tree, cache=folder / "cache", **options)


def test_unchanged_tree_costs_one_head(registry: Any, tmp_path: Path) -> None:
    base, tree = base_in(registry), tree_of(tmp_path)
    first = push(registry, base, tree, tmp_path)
    registry.log.clear()
    second = push(registry, base, tree, tmp_path)
    assert registry.log == [f"HEAD /v2/{REPO}/manifests/{first.tag}"]
    assert (second.requests, second.bytes_sent, second.unchanged) == (1, 0, True)
    assert (second.digest, second.tag) == (first.digest, first.tag)


def test_changed_tree_costs_six_requests_once_the_base_is_known(registry: Any, tmp_path: Path) -> None:
    base = base_in(registry)
    assert push(registry, base, tree_of(tmp_path), tmp_path).requests == 8
    registry.log.clear()
    result = push(registry, base, tree_of(tmp_path, "print(2)\n"), tmp_path)
    assert result.requests == len(registry.log) == 6
    assert sorted(line.split()[0] for line in registry.log) == ["HEAD", "POST", "POST", "PUT", "PUT", "PUT"]
    assert registry.log[0].startswith("HEAD")
    assert registry.log[-1] == f"PUT /v2/{REPO}/manifests/{result.tag}"
    assert not any("PATCH" in line for line in registry.log)


def test_what_is_prepared_is_asked_and_packed_once_and_opens_no_upload(registry: Any, tmp_path: Path) -> None:
    base = base_in(registry)
    push(registry, base, tree_of(tmp_path), tmp_path)
    registry.log.clear()
    settings = CodeSettings(entrypoint=("python3",))
    prepared = CodePush(client_of(registry), base, tree_of(tmp_path, "print(2)\n"), settings, cache=tmp_path / "cache")
    prepared.prepare()
    assert prepared._ahead is not None
    image = prepared._ahead.image()
    assert prepared._ahead.digest() is None
    assert registry.log == [f"HEAD /v2/{REPO}/manifests/{prepared.tag}"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("images.code_image.build_layer", lambda _: pytest.fail("the layer is packed again"))
        result = prepared.finish()
    assert registry.manifests[(REPO, result.digest)][1] == image.manifest
    assert result.requests == len(registry.log) == 6


def test_tag_that_was_expected_to_be_new_and_is_not_costs_one_request(registry: Any, tmp_path: Path) -> None:
    base, tree = base_in(registry), tree_of(tmp_path)
    first = push(registry, base, tree, tmp_path)
    again = push(registry, base, tree, tmp_path, expects_new=True)
    assert (again.requests, again.bytes_sent, again.unchanged, again.digest) == (1, 0, True, first.digest)


def test_failures_of_what_is_prepared_are_told_by_the_push_and_not_tried_again(registry: Any, tmp_path: Path) -> None:
    base = base_in(registry)
    registry.faults.append(Fault("GET", "manifests", status=503, times=99))
    with pytest.raises(RegistryUnreachable):
        push(registry, base, tree_of(tmp_path), tmp_path, expects_new=True)
    assert sum(line.startswith("GET") for line in registry.log) == Attempts().count


def test_image_that_is_there_needs_no_base(registry: Any, tmp_path: Path) -> None:
    base, tree = base_in(registry), tree_of(tmp_path)
    push(registry, base, tree, tmp_path)
    del registry.manifests[(REPO, base.digest)]
    (tmp_path / "other").mkdir()
    assert push(registry, base, tree, tmp_path / "other", expects_new=True).unchanged


def test_who_may_not_upload_may_push_what_is_there(registry: Any, tmp_path: Path) -> None:
    base, tree = base_in(registry), tree_of(tmp_path)
    push(registry, base, tree, tmp_path)
    registry.faults.append(Fault("POST", "uploads", status=403, code="DENIED", message="not authorized", times=9))
    assert push(registry, base, tree, tmp_path, expects_new=True).unchanged
    with pytest.raises(RegistryDenied):
        push(registry, base, tree_of(tmp_path, "print(2)\n"), tmp_path, expects_new=True)


def test_bytes_sent_are_layer_config_and_manifest(registry: Any, tmp_path: Path) -> None:
    result = push(registry, base_in(registry), tree_of(tmp_path), tmp_path)
    manifest = registry.manifest(REPO, result.tag)
    raw = registry.manifests[(REPO, result.digest)][1]
    assert result.bytes_sent == manifest["layers"][-1]["size"] + manifest["config"]["size"] + len(raw)


@pytest.mark.parametrize(("family", "types"), [("docker", DOCKER), ("oci", OCI)])
def test_image_stays_in_the_family_of_its_base(registry: Any, tmp_path: Path, family: str, types: Any) -> None:
    result = push(registry, base_in(registry, family=family), tree_of(tmp_path), tmp_path)
    media_type, raw = registry.manifests[(REPO, result.digest)]
    manifest = json.loads(raw)
    assert media_type == manifest["mediaType"] == types.manifest
    assert manifest["config"]["mediaType"] == types.config
    assert {layer["mediaType"] for layer in manifest["layers"]} == {types.layer}
    assert ("annotations" in manifest) is (family == "oci")


def test_config_keeps_the_base_and_adds_one_layer(registry: Any, tmp_path: Path) -> None:
    base, tree = base_in(registry, family="oci"), tree_of(tmp_path)
    result = push(
        registry, base, tree, tmp_path, command=("batch",), env={"LANG": "C.UTF-8", "A": "1"}, labels={"git": "abc"}
    )
    manifest = registry.manifest(REPO, result.tag)
    config = json.loads(registry.blobs[(REPO, manifest["config"]["digest"])])
    assert config["rootfs"]["diff_ids"] == [*BASE_CONFIG["rootfs"]["diff_ids"], build_layer(tree).diff_id]
    assert config["history"][-1] == {"created": "1980-01-01T00:00:00Z", "created_by": "capctl image push"}
    assert config["config"]["Entrypoint"] == ["python3", "-m", "run"]
    assert config["config"]["Cmd"] == ["batch"]
    assert config["config"]["Env"] == ["PATH=/bin", "LANG=C.UTF-8", "A=1"]
    assert config["config"]["User"] == "65532"
    assert config["config"]["Labels"] == {
        "dev.capctl.python": "3.11",
        "git": "abc",
        "org.opencontainers.image.base.digest": base.digest,
        "org.opencontainers.image.base.name": REPO,
    }
    assert config["x-unknown"] == 1
    assert not {"container", "container_config"} & config.keys()
    assert manifest["annotations"]["org.opencontainers.image.base.digest"] == base.digest


def test_same_inputs_give_the_same_digest_in_another_registry(registry: Any, tmp_path: Path) -> None:
    base, tree = base_in(registry), tree_of(tmp_path)
    first = push(registry, base, tree, tmp_path)
    registry.tags.clear()
    (tmp_path / "other").mkdir()
    assert push(registry, base, tree, tmp_path / "other").digest == first.digest


def test_tag_depends_on_settings_and_base_but_not_on_the_order_of_variables(tmp_path: Path) -> None:
    tree = tree_of(tmp_path)
    base = ImageRef(repository=REPO, digest="sha256:" + "1" * 64)
    one = CodeSettings(entrypoint=("a",), env={"A": "1", "B": "2"})
    same = CodeSettings(entrypoint=("a",), env={"B": "2", "A": "1"})
    tags = {code_tag(tree, base, settings)[0] for settings in (one, same)}
    tags.add(code_tag(tree, base, CodeSettings(entrypoint=("b",)))[0])
    tags.add(code_tag(tree, ImageRef(repository=REPO, digest="sha256:" + "2" * 64), one)[0])
    assert len(tags) == 3
    assert all(len(tag) == len("code-") + 16 for tag in tags)


def test_base_layer_that_is_nowhere_is_an_error_that_names_it(registry: Any, tmp_path: Path) -> None:
    base = base_in(registry)
    layer = registry.manifest(REPO, base.digest)["layers"][0]["digest"]
    del registry.blobs[(REPO, layer)]
    with pytest.raises(BlobMissing, match=layer):
        push(registry, base, tree_of(tmp_path), tmp_path)


def test_own_blob_that_the_registry_lost_is_sent_again(registry: Any, tmp_path: Path, fault: Any) -> None:
    base, tree = base_in(registry), tree_of(tmp_path)
    registry.faults.append(fault("PUT", "uploads/", status=201))
    assert (REPO, push(registry, base, tree, tmp_path).digest) in registry.manifests


def test_push_survives_one_failure_of_every_request(registry: Any, tmp_path: Path, fault: Any) -> None:
    base, tree = base_in(registry), tree_of(tmp_path)
    for method, path in (("HEAD", "manifests"), ("GET", "manifests"), ("GET", "blobs"), ("POST", "uploads")):
        registry.faults.append(fault(method, path, status=503))
    registry.faults += [fault("PUT", "uploads", lose_answer=True), fault("PUT", "manifests", lose_answer=True)]
    registry.immutable = True
    result = push(registry, base, tree, tmp_path)
    assert registry.tags[(REPO, result.tag)] == result.digest


def test_push_that_fails_leaves_no_tag_and_can_be_repeated(registry: Any, tmp_path: Path, fault: Any) -> None:
    base, tree = base_in(registry), tree_of(tmp_path)
    registry.faults.append(fault("PUT", "manifests", status=500, times=5))
    with pytest.raises(RegistryUnreachable):
        push(registry, base, tree, tmp_path)
    assert registry.tags == {}
    assert not push(registry, base, tree, tmp_path).unchanged


def test_damaged_cache_is_not_believed(registry: Any, tmp_path: Path) -> None:
    base = base_in(registry)
    first = push(registry, base, tree_of(tmp_path), tmp_path)
    for path in (tmp_path / "cache" / "sha256").iterdir():
        path.write_bytes(b"{}")
    registry.tags.clear()
    again = push(registry, base, tree_of(tmp_path), tmp_path)
    assert (again.digest, again.requests) == (first.digest, 8)


def test_index_as_base_is_refused(registry: Any, tmp_path: Path) -> None:
    raw = json.dumps({"mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}).encode()
    digest = DigestCache(tmp_path / "cache").write(raw)
    with pytest.raises(ManifestUnsupported, match="not the manifest of one image"):
        read_base(client_of(registry), ImageRef(repository=REPO, digest=digest), DigestCache(tmp_path / "cache"))


def test_append_is_pure(registry: Any, tmp_path: Path) -> None:
    base = read_base(client_of(registry), base_in(registry), DigestCache(tmp_path))
    layer, settings = build_layer(tree_of(tmp_path)), CodeSettings(entrypoint=("x",))
    before = json.dumps([base.manifest.document, base.config])
    assert append_code(base, layer, settings) == append_code(base, layer, settings)
    assert json.dumps([base.manifest.document, base.config]) == before


@pytest.mark.parametrize("text", ["job", "job:latest", "job@sha256:12"])
def test_image_reference_must_be_pinned(text: str) -> None:
    with pytest.raises(ValueError, match="is not a sha256 digest"):
        ImageRef.parse(text)
