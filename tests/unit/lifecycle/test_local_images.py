"""The code image in a folder and in the engine of this machine: `image build --to` and `image load`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lifecycle.config.target import Target
from lifecycle.domain.image_content import ImageContent
from lifecycle.errors import CapctlError, UsageError
from lifecycle.ports.engine import LoadedImage
from lifecycle.workflows.build_layer import build_layer, plan_layout
from lifecycle.workflows.execute import execute
from lifecycle.workflows.load_image import LoadImage, image_id, local_code, plan_load, run_by_hand, stored_image
from lifecycle.workflows.push_image import plan_push_image
from tests.failures import code_of
from tests.fakes.local_images import FakeEngine, FakeLayouts
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.targets import make_target

LAYOUT = Path("layout")


@pytest.fixture
def ports() -> FakePorts:
    """A registry that holds the base image."""
    made = FakePorts()
    made.base_builder.build()
    return made


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return make_target(tmp_path)


def test_code_is_loaded_once_under_the_name_of_its_content(ports: FakePorts, target: Target) -> None:
    image = local_code(ports, target)
    assert image.name == f"vision:{ports.code.tag()}"
    loaded = execute(plan_load(ports, image), ports, RUN).of(LoadImage)
    assert (loaded.layers_known, loaded.bytes_sent > 0) == (0, True)
    again = plan_load(ports, image)
    assert (again.steps, again.because) == ((), f"the engine has it, {image.content.config_digest}")
    assert image_id(ports, image) == image.content.config_digest


def test_layers_of_the_base_go_to_the_engine_once(ports: FakePorts, target: Target) -> None:
    execute(plan_load(ports, local_code(ports, target)), ports, RUN)
    ports.code.files["job.py"] = "print('another')\n"
    assert execute(plan_load(ports, local_code(ports, target)), ports, RUN).of(LoadImage).layers_known == 2


def test_code_that_nobody_pushed_is_what_a_push_gives(ports: FakePorts, target: Target) -> None:
    image = local_code(ports, target)
    assert ports.registry.find(image.tag) is None
    assert ports.code.push().ref.digest == image.content.digest


@pytest.mark.parametrize("made", [local_code, build_layer, plan_push_image])
@pytest.mark.parametrize("broken", ["model", "import"])
def test_code_that_no_push_takes_is_given_away_in_no_other_form(
    ports: FakePorts, target: Target, made: Callable[[FakePorts, Target], object], broken: str
) -> None:
    made(ports, target)
    if broken == "model":
        ports.code.files["a.onnx"] = "weights"
    else:
        ports.code.missing = [("app/job.py", "helper")]
    assert code_of(lambda: made(ports, target)) == "image-rejected"


def test_pushed_image_is_loaded_whatever_the_working_tree_is(ports: FakePorts, target: Target) -> None:
    pushed = ports.code.push().ref
    ports.code.files["a.onnx"] = "weights"
    assert stored_image(ports, target, pushed.digest).content.digest == pushed.digest


def test_pushed_image_is_loaded_by_its_digest_or_tag(ports: FakePorts, target: Target) -> None:
    pushed, tag = ports.code.push().ref, ports.code.tag()
    for text in (str(pushed), pushed.digest, tag):
        image = stored_image(ports, target, text)
        assert image.name == f"vision:digest-{pushed.digest.removeprefix('sha256:')[:16]}"
        assert image.content.digest == pushed.digest


def test_empty_name_is_no_image_and_not_that_of_the_working_tree(ports: FakePorts, target: Target) -> None:
    ports.code.push()
    with pytest.raises(UsageError):
        stored_image(ports, target, "")


def test_engine_of_containerd_names_an_image_by_its_manifest(ports: FakePorts, target: Target) -> None:
    image = local_code(ports, target)
    ports.engine.images[image.name] = image.content.digest
    assert plan_load(ports, image).steps == ()


def test_name_of_another_image_is_not_taken(ports: FakePorts, target: Target) -> None:
    image = local_code(ports, target)
    ports.engine.images[image.name] = "sha256:other"
    with pytest.raises(CapctlError) as failed:
        plan_load(ports, image)
    assert (failed.value.code, failed.value.hint) == (
        "image-name-taken",
        f"If nobody needs it, remove it: `docker image rm {image.name}`",
    )


class ForgetfulEngine(FakeEngine):
    """It says yes, and has nothing."""

    def load(self, image: ImageContent, name: str) -> LoadedImage:
        return LoadedImage(bytes_sent=1, layers_known=0)


class ForgetfulLayouts(FakeLayouts):
    """They say yes, and hold nothing."""

    def write(self, folder: Path, image: ImageContent, name: str) -> None:
        pass


def test_load_reads_back_what_the_engine_has(ports: FakePorts, target: Target) -> None:
    ports.engine = ForgetfulEngine()
    image = local_code(ports, target)
    assert code_of(lambda: execute(plan_load(ports, image), ports, RUN)) == "image-not-loaded"
    assert code_of(lambda: image_id(ports, image)) == "image-not-loaded"


def test_layout_gets_the_image_under_its_tag_once(ports: FakePorts, target: Target) -> None:
    image = local_code(ports, target)
    execute(plan_layout(ports, LAYOUT, image), ports, RUN)
    assert ports.layouts.images == {(LAYOUT, ports.code.tag()): image.content.digest}
    assert plan_layout(ports, LAYOUT, image).steps == ()
    assert ports.registry.find(image.tag) is None


def test_layout_is_read_back(ports: FakePorts, target: Target) -> None:
    ports.layouts = ForgetfulLayouts()
    plan = plan_layout(ports, LAYOUT, local_code(ports, target))
    assert code_of(lambda: execute(plan, ports, RUN)) == "layout-incomplete"


def test_line_has_what_the_release_asks_for_and_the_video_by_its_whole_path(
    ports: FakePorts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    target = make_target(tmp_path, release={"gpus": 1, "environment": {"SAMPLE_FPS": "1"}})
    words = run_by_hand(ports, target, local_code(ports, target), Path("a.mp4"))
    assert f"type=bind,source={tmp_path}/a.mp4,target=/video,readonly" in words
    assert {"SAMPLE_FPS", "--gpus"} <= {*words}
