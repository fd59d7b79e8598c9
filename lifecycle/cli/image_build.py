"""`capctl image build`."""

from __future__ import annotations

from pathlib import Path

import click

from lifecycle.cli import documents, image_documents
from lifecycle.cli.context import Invocation, pass_invocation
from lifecycle.cli.image_load import tell_run, video_option


def _layout(_ctx: click.Context, _option: click.Parameter, text: str | None) -> Path | None:
    if text is None:
        return None
    kind, _, folder = text.partition(":")
    if kind != "oci" or not folder:
        raise click.BadParameter(f"`{text}` is not `oci:DIR`")
    if ":" in folder:  # as others read it, that would be `oci:DIR:TAG`
        raise click.BadParameter(
            f"`{text}` names a tag, which is always that of the code: write `oci:{folder.partition(':')[0]}`"
        )
    return Path(folder)


@click.command()
@click.option(
    "--to",
    "layout",
    metavar="oci:DIR",
    callback=_layout,
    help="Write the whole image, base included, into the OCI image layout DIR, beside those that it holds.",
)
@video_option
@pass_invocation
def command(invocation: Invocation, layout: Path | None, video: Path | None) -> None:
    """Build the code layer of the working tree without pushing it; prints its tag.

    Code that `image push` would refuse is refused here, before anything is written.
    With `--to`, the image that a push would give, to the byte: prints the layout's name for it, which other programs take.
    """
    from lifecycle.workflows.build_layer import build_layer
    from lifecycle.workflows.source import told_source

    if layout:
        document, name, run = _written(invocation, layout, video)
        invocation.emit("capctl.image-layout/1", document, name)
        tell_run(invocation, run, first="`capctl image load`")
        return
    if video:
        raise click.UsageError("`--video` is for the line that `--to` prints")
    layer = build_layer(invocation.app, invocation.app.target)
    invocation.emit("capctl.code-layer/1", documents.code_layer(layer, told_source(invocation.app)), layer.tag)


def _written(
    invocation: Invocation, layout: Path, video: Path | None
) -> tuple[documents.Document, str, tuple[str, ...]]:
    from lifecycle.workflows.build_layer import plan_layout
    from lifecycle.workflows.load_image import local_code, run_by_hand
    from lifecycle.workflows.source import told_source

    app = invocation.app
    image = local_code(app, app.target)
    plan = plan_layout(app, layout, image)
    invocation.execute(plan)
    run = run_by_hand(app, app.target, image, video)
    document = image_documents.image_layout(layout, image, source=told_source(app), run=run, changed=bool(plan.steps))
    return document, f"oci:{layout}:{image.tag}", run
