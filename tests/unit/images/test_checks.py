from __future__ import annotations

import inspect
import re
from typing import Any, Literal

import pytest

from images import checks, code_rules
from images.checks import check_image, locked_packages
from images.hints import _HINTS, hint_for
from images.index import PYTHON_LABEL, Broken, FileEntry, ImageIndex, Import, LayerIndex
from images.rules import Rules, Violation

MB = 10**6


def file(path: str, size_bytes: int = 1, mode: int = 0o644, flags: tuple[str, ...] = (), sha256: str = "") -> FileEntry:
    return FileEntry(path=path, kind="file", size_bytes=size_bytes, mode=mode, flags=flags, sha256=sha256)


def link(path: str, target: str, kind: Literal["symlink", "hardlink"] = "symlink") -> FileEntry:
    return FileEntry(path=path, kind=kind, size_bytes=0, mode=0o777, link=target)


def layer(*entries: FileEntry, compressed_bytes: int = 1, digest: str = "sha256:layer") -> LayerIndex:
    return LayerIndex(
        digest=digest,
        compressed_bytes=compressed_bytes,
        unpacked_bytes=sum(entry.size_bytes for entry in entries),
        entries=entries,
    )


def image(*layers: LayerIndex, config: dict[str, Any] | None = None) -> ImageIndex:
    return ImageIndex(digest="sha256:image", media_type="", config=config or {}, layers=layers)


def codes(index: ImageIndex, rules: Rules | None = None) -> list[str]:
    return [violation.code for violation in check_image(index, rules)]


def test_clean_image_has_no_violations() -> None:
    base = layer(file("usr/bin/python3.11", 6 * MB), file("opt/site/numpy.libs/libopenblas.so", 25 * MB, 0o755))
    folder = FileEntry(path="app", kind="folder", size_bytes=0, mode=0o755)
    assert check_image(image(base, layer(folder, file("app/analyzer/cli.py")))) == []


def test_budgets_are_decimal_and_inclusive() -> None:
    libraries = [file(f"opt/site/lib{number}.so", 20 * MB) for number in range(25)]
    assert codes(image(layer(*libraries, compressed_bytes=300 * MB))) == []
    assert codes(image(layer(*libraries, file("opt/x"), compressed_bytes=300 * MB + 1))) == [
        "compressed-size-over-budget",
        "unpacked-size-over-budget",
    ]


def test_budget_violation_names_the_largest_layer_and_both_sizes() -> None:
    small, large = layer(compressed_bytes=1), layer(compressed_bytes=301 * MB, digest="sha256:large")
    (violation,) = check_image(image(small, large))
    assert violation.layer == "sha256:large"
    assert violation.message == "The image is 301.0 MB compressed, 300 MB are allowed"


@pytest.mark.parametrize("path", ["opt/weights/age.onnx", "app/best.PT", "usr/x.safetensors", "opt/m.gguf", "a/b.h5"])
def test_model_files_are_refused_by_suffix_everywhere(path: str) -> None:
    assert codes(image(layer(file(path)))) == ["model-file"]


def test_model_files_are_refused_by_content_under_any_name() -> None:
    (violation,) = check_image(image(layer(file("opt/readme.txt", flags=("model:gguf",)))))
    assert violation.code == "model-file"
    assert "content is gguf" in violation.message


def test_model_files_can_be_allowed_by_glob() -> None:
    rules = Rules(model_globs_allowed=("opt/site/silero/**",))
    assert codes(image(layer(file("opt/site/silero/data/vad.onnx"))), rules) == []


def test_large_files_must_be_shared_libraries() -> None:
    large = 21 * MB
    assert codes(image(layer(file("opt/data.bin", large)))) == ["oversized-file"]
    assert (
        codes(image(layer(file("opt/site/cv2/cv2.abi3.so", large), file("opt/site/av.libs/libx265.so.216", large))))
        == []
    )


@pytest.mark.parametrize("mode", [0o4755, 0o2755])
def test_setuid_and_setgid_files_are_refused(mode: int) -> None:
    assert codes(image(layer(file("usr/bin/su", mode=mode)))) == ["setuid-file"]


def test_setuid_that_an_upper_layer_takes_away_is_no_violation() -> None:
    assert codes(image(layer(file("usr/bin/su", mode=0o4755)), layer(file("usr/bin/su", mode=0o755)))) == []


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("root/.cache/pip/http/a", "cache-left-behind"),
        ("var/cache/apt/archives/a.deb", "cache-left-behind"),
        ("var/lib/apt/lists/x_Packages", "cache-left-behind"),
        ("opt/tool/.mypy_cache/x.json", "cache-left-behind"),
        ("wheelhouse/numpy.whl", "cache-left-behind"),
        ("opt/tool/.git/config", "vcs-left-behind"),
        ("root/.aws/credentials", "credentials-left-behind"),
        ("root/.ssh/id_ed25519", "credentials-left-behind"),
        ("opt/site/numpy/tests/test_math.py", "tests-left-behind"),
        ("opt/site/numpy/_core/tests/sub/test_x.py", "tests-left-behind"),
    ],
)
def test_leftovers_are_refused(path: str, code: str) -> None:
    assert codes(image(layer(file(path)))) == [code]


@pytest.mark.parametrize(
    "path",
    ["usr/local/lib/python3.12/ensurepip/_bundled/pip-25.0-py3-none-any.whl", "opt/site/numpy/_core/tests/_natype.py"],
)
def test_what_the_interpreter_and_packages_need_is_no_leftover(path: str) -> None:
    assert codes(image(layer(file(path)))) == []


@pytest.mark.parametrize(
    "path", ["src/old.py", "tools/build.py", "data/table.csv", ".env", "analyzer/tests/test_a.py", "a/old.pyc"]
)
def test_development_files_are_refused_in_the_code_only(path: str) -> None:
    assert codes(image(layer(file(f"app/{path}")))) == ["forbidden-path"]
    assert codes(image(layer(file(f"opt/site/{path}")))) == (["tests-left-behind"] if "tests/test_" in path else [])


def test_code_outside_the_allowed_packages_is_refused() -> None:
    rules = Rules(allowed_code=frozenset({"analyzer"}))
    assert codes(image(layer(file("app/analyzer/cli.py"), file("app/scratch.py"))), rules) == ["code-not-allowed"]


def test_secrets_are_refused_and_not_repeated() -> None:
    (violation,) = check_image(image(layer(file("app/settings.py", flags=("secret:aws-access-key-id:1",)))))
    assert violation.code == "secret-found"
    assert "aws-access-key-id" in violation.message


def test_stale_bytecode_is_refused() -> None:
    assert codes(image(layer(file("opt/site/__pycache__/a.pyc", flags=("stale-bytecode",))))) == ["stale-bytecode"]


def test_what_deletes_a_file_is_none_itself() -> None:
    below = layer(file("root/.cache/pip/wheel"), file("opt/tools/.git/index"))
    gone = layer(file("root/.cache/.wh.pip"), file("opt/tools/.wh..git"))
    assert codes(image(below)) == codes(image(below, gone)) == ["cache-left-behind", "vcs-left-behind"]


def test_whiteouts_are_refused_in_the_code_layer_only() -> None:
    assert codes(image(layer(file("app/run.py"), file("app/.wh.old.py")))) == ["whiteout-in-code-layer"]
    assert codes(image(layer(file("app/run.py"), file("opt/site/.wh..wh..opq")))) == ["whiteout-in-code-layer"]
    assert codes(image(layer(file("opt/.wh.x")), layer(file("app/run.py")))) == []


def test_code_layer_must_stay_below_its_folder() -> None:
    assert codes(image(layer(file("app/run.py"), file("etc/passwd")))) == ["code-layer-outside-app"]


def test_packages_must_be_those_of_the_lock() -> None:
    site = [
        f"opt/site/{name}.dist-info/METADATA" for name in ("numpy-2.4.6", "opencv_python_headless-4.14.0", "six-1.16")
    ]
    rules = Rules(allowed_packages=frozenset({"numpy==2.4.6", "opencv-python-headless==4.14.0", "six==1.17.0"}))
    violations = check_image(image(layer(*(file(path) for path in site))), rules)
    assert [(violation.code, violation.message.split("`")[1]) for violation in violations] == [
        ("package-not-locked", "six==1.16"),
        ("package-missing", "six==1.17.0"),
    ]


def test_lock_is_read_with_extras_markers_and_hashes() -> None:
    lock = (
        "numpy==2.4.6 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
        "psycopg[binary]==3.3.9 ; python_version >= '3.11' \\\n    --hash=sha256:cc\n"
        "# a comment==1\nTyping_Extensions==4.16.0\n"
    )
    assert locked_packages(lock) == {"numpy==2.4.6", "psycopg==3.3.9", "typing-extensions==4.16.0"}


def test_bytes_hidden_by_upper_layers_are_counted_above_a_floor() -> None:
    lower, upper = layer(file("opt/a", 2 * MB), digest="sha256:lower"), layer(file("opt/a", 1))
    (violation,) = check_image(image(lower, upper))
    assert (violation.code, violation.path, violation.layer) == ("wasted-bytes", "opt/a", "sha256:lower")
    assert codes(image(layer(file("opt/a", MB)), upper)) == []


def test_deleted_bytes_are_wasted_too() -> None:
    lower = layer(file("models/a", 2 * MB), file("models/b", 3 * MB), digest="sha256:lower")
    for upper in (file(".wh.models"), file("models/.wh..wh..opq")):
        (violation,) = check_image(image(lower, layer(upper)))
        assert (violation.code, violation.path, violation.layer) == ("wasted-bytes", "models/b", "sha256:lower")
        assert violation.message.startswith("5.0 MB ")


def test_copies_in_several_layers_are_counted_above_a_floor_and_named_with_their_original() -> None:
    lower = layer(file("opt/a", 2 * MB, sha256="same"), digest="sha256:lower")
    upper = layer(file("srv/a", 2 * MB, sha256="same"), digest="sha256:upper")
    (violation,) = check_image(image(lower, upper))
    assert (violation.code, violation.path, violation.layer) == ("duplicate-bytes", "srv/a", "sha256:upper")
    assert "`opt/a`" in violation.message
    assert codes(image(lower, upper), Rules(max_duplicate_bytes=2 * MB)) == []


def test_copy_at_the_same_path_is_wasted_and_not_counted_again() -> None:
    copies = [layer(file("opt/a", 2 * MB, sha256="same"), digest=f"sha256:{number}") for number in range(2)]
    assert codes(image(*copies)) == ["wasted-bytes"]


@pytest.mark.parametrize(
    "entry",
    [
        link("app/a", "/etc/passwd"),
        link("app/a", ".."),
        link("app/a", "../app/b"),
        link("app/pkg/a", "../../etc"),
        link("app/a", "opt/site/b", "hardlink"),
    ],
)
def test_links_out_of_the_code_are_refused(entry: FileEntry) -> None:
    (violation,) = check_image(image(layer(entry)))
    assert (violation.code, violation.path) == ("link-outside-code", entry.path)


@pytest.mark.parametrize(
    "links",
    [
        (link("app/x/up", ".."), link("app/out", "x/up/../../etc/shadow")),
        (link("app/a", "b"), link("app/b", "a")),
    ],
    ids=["through another link", "in a circle"],
)
def test_link_that_leaves_the_code_through_another_one_is_refused(links: tuple[FileEntry, ...]) -> None:
    found = [violation for violation in check_image(image(layer(*links))) if violation.path == links[-1].path]
    assert [violation.code for violation in found] == ["link-outside-code"]


def test_links_within_the_code_and_those_of_the_base_are_kept() -> None:
    entries = (
        file("app/b"),
        file("app/pkg/b"),
        link("app/a", "pkg/b"),
        link("app/pkg/a", "../b"),
        link("app/c", "app/pkg/b", "hardlink"),
    )
    assert codes(image(layer(*entries))) == codes(image(layer(link("bin", "/usr/bin")))) == []


def test_names_of_the_project_can_be_forbidden_too() -> None:
    rules = Rules(code_globs_forbidden=("notebooks/**",))
    assert codes(image(layer(file("app/notebooks/x.py"), file("opt/site/notebooks/x.py"))), rules) == [
        "forbidden-path",
        "code-layer-outside-app",
    ]


def test_secrets_can_be_allowed_by_glob() -> None:
    entry = file("app/examples/keys.py", flags=("secret:aws-access-key-id:1",))
    assert codes(image(layer(entry)), Rules(code_globs_without_secrets=("examples/**",))) == []


def test_secrets_in_the_run_configuration_are_refused() -> None:
    config = {"config": {"Env": ["DATABASE_URL=postgresql" + "://admin:hunter22@db/x"]}}
    (violation,) = check_image(image(layer(), config=config))
    assert (violation.code, violation.path) == ("secret-found", "")
    assert "url-password" in violation.message


def test_imports_that_nothing_provides_are_refused_with_their_place() -> None:
    imports = (Import(module="torch", line=3), Import(module="numba", line=9, deferred=True))
    code = FileEntry(path="app/job.py", kind="file", size_bytes=1, mode=0o644, imports=imports)
    found = check_image(image(layer(code)), Rules(runtime_modules=frozenset({"torch"})))
    assert [(violation.code, violation.path) for violation in found] == [("import-unresolved", "app/job.py")]
    assert "(line 9, inside a function) imports `numba`" in found[0].message


def test_missing_module_of_the_codes_own_package_is_not_told_to_be_locked() -> None:
    imports = (Import(module="pkg.newmod", line=3), Import(module="numba", line=9))
    code = FileEntry(path="app/pkg/__init__.py", kind="file", size_bytes=1, mode=0o644, imports=imports)
    own, other = check_image(image(layer(code)))
    assert own.hint == "`pkg` is the code's own package: add the module `pkg.newmod` to it, or correct the import"
    assert other.hint == ""


def broken_file(python: str, path: str = "app/pkg/job.py") -> FileEntry:
    return FileEntry(path=path, kind="file", size_bytes=1, mode=0o644, broken=Broken(python, 3, "invalid syntax"))


def of_python(version: str, *entries: FileEntry) -> ImageIndex:
    return image(layer(*entries), config={"config": {"Labels": {PYTHON_LABEL: version}}})


@pytest.mark.parametrize(
    ("image_python", "not_by", "is_refused"),
    [("3.9", "3.9", True), ("3.8", "3.9", True), ("3.10", "3.9", False), ("3.9", "3.10", True), ("3.13", "", True)],
)
def test_code_that_the_python_of_the_image_does_not_compile_is_refused(
    image_python: str, not_by: str, is_refused: bool
) -> None:
    found = check_image(of_python(image_python, broken_file(not_by)))
    assert [violation.code for violation in found] == ["python-invalid"] * is_refused
    if found:
        assert found[0].message == f"`app/pkg/job.py` (line 3) is no Python {image_python}: invalid syntax"


def test_python_of_an_official_image_is_that_of_its_variable() -> None:
    index = image(layer(broken_file("3.9")), config={"config": {"Env": ["PATH=/bin", "PYTHON_VERSION=3.9.18"]}})
    assert codes(index) == ["python-invalid"]


def test_templates_of_python_files_may_be_allowed() -> None:
    index = of_python("3.11", broken_file("", "app/templates/job.py"))
    assert codes(index, Rules(code_globs_not_compiled=("templates/**",))) == []
    assert codes(index) == ["python-invalid"]


def test_every_rule_has_a_hint_of_its_own() -> None:
    source = inspect.getsource(checks) + inspect.getsource(code_rules)
    rules = {*re.findall(r'code="([a-z-]+)"', source), *re.findall(r'\("([a-z-]+-left-behind)"', source)}
    assert {*rules, "compressed-size-over-budget", "unpacked-size-over-budget"} <= _HINTS.keys()


def test_hints_are_told_once_each_and_the_own_one_of_a_place_first() -> None:
    secret, other = Violation(code="secret-found", message="a"), Violation(code="secret-found", message="b")
    own = Violation(code="import-unresolved", message="c", hint="`x.py` is not tracked by git: `git add` it")
    text = hint_for([own, secret, other])
    assert text.startswith("`x.py` is not tracked by git: `git add` it; rotate the key")
    assert text.count("rotate") == 1
    assert hint_for([secret]).startswith("Rotate the key")


def test_module_of_the_image_that_hides_one_of_the_hosts_runtime_is_refused() -> None:
    def found(*paths: str, **rules: frozenset[str]) -> list[tuple[str, str]]:
        files = [FileEntry(path=path, kind="file", size_bytes=1, mode=0o644) for path in paths]
        return [(each.code, each.path) for each in check_image(image(layer(*files)), Rules(**rules))]

    mounted = frozenset({"onnxruntime", "six", "_cffi", "nvidia"})
    package = "opt/site/onnxruntime/__init__.py"
    assert found(package, "opt/site/onnxruntime/capi.py", mounted_modules=mounted) == [("module-hidden", package)]
    for path in ("opt/site/six.py", "opt/site/_cffi.cpython-312-x86_64-linux-gnu.so", "app/six.py"):
        assert found(path, mounted_modules=mounted) == [("module-hidden", path)]
    # Of a namespace each place has its part.
    assert found("opt/site/nvidia/cublas/__init__.py", "opt/site/sixty.py", mounted_modules=mounted) == []
    assert found(package, runtime_modules=mounted) == []


def test_hints_name_the_files_as_each_setting_takes_them() -> None:
    models = [Violation(code="model-file", message="m", path=f"app/job/{letter}.txt") for letter in "abcd"]
    text = hint_for([*models, Violation(code="secret-found", message="s", path="app/job/keys.py")])
    assert "`image.exclude: [job/a.txt, job/b.txt, job/c.txt, …]`" in text
    assert "`image.rules.model_files: [app/job/a.txt, app/job/b.txt, app/job/c.txt, …]`" in text
    assert "`image.rules.not_secret: [job/keys.py]`" in text
    assert "not_secret: […]`" in hint_for([Violation(code="secret-found", message="in the run configuration")])


def test_link_to_what_is_not_in_the_image_is_broken() -> None:
    entries = (file("app/job/run.py"), link("app/job/same.py", "run.py"), link("app/folder", "job"))
    assert check_image(image(layer(*entries))) == []
    for target in ("gone.py", "../gone/run.py"):
        (violation,) = check_image(image(layer(*entries, link("app/job/bad.py", target))))
        assert (violation.code, violation.path) == ("link-broken", "app/job/bad.py")
