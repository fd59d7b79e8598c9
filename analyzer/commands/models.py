"""`models`: what is mounted, under which terms; the marker of what no bake placed; and the options that other commands share."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.commands.output import add_output, write_out
from analyzer.contract import (
    DEFAULT_BACKEND,
    DEFAULT_MODEL_ROOT,
    Device,
    ExitCode,
    LicencePolicy,
    ModelRequest,
    ModelSettings,
    Role,
    local_path,
    parse_set_digest,
)
from analyzer.errors import Mismatch
from analyzer.runtime_contract import ENV_MOUNT

if TYPE_CHECKING:
    from analyzer.manifest import ModelSet


def add_models(commands: Any) -> None:
    """Add `models` to the subparsers of the command line."""
    models = commands.add_parser("models", help="model files").add_subparsers(required=True, metavar="COMMAND")
    verify = models.add_parser("verify", help="hash a mounted model set against its marker")
    _add_root(verify)
    verify.add_argument("--model-set", metavar="DIGEST", help="the digest that the set must have")
    add_output(verify)
    add_licence_policy(verify)
    verify.set_defaults(command=_verify)
    mark = models.add_parser("mark", help="make what lies below a folder a model set: write its marker, as a bake does")
    mark.add_argument("root", metavar="ROOT", help="holds models/, checkpoints/, ...")
    add_output(mark)
    mark.set_defaults(command=_mark)


def add_licence_policy(parser: argparse._ActionsContainer) -> None:
    """Add `--license-policy`."""
    parser.add_argument(
        "--license-policy",
        default=LicencePolicy.ANY,
        metavar="POLICY",
        help="commercial: refuse a set with a file that may not be used commercially (default: any)",
    )


def add_mounted(parser: argparse._ActionsContainer) -> None:
    """Add where the models are, which set they must be, and what they may run on."""
    _add_root(parser)
    parser.add_argument("--model-set", metavar="DIGEST", help="refuse to run with any other model set")
    parser.add_argument("--device", default=Device.AUTO, metavar="DEVICE", help="auto, cpu or cuda (default: auto)")
    add_licence_policy(parser)


def _add_root(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--model-root", metavar="DIR", help=f"holds models/, checkpoints/, ... (default: {DEFAULT_MODEL_ROOT})"
    )


def model_request(options: argparse.Namespace, *roles: Role, backend: str = DEFAULT_BACKEND) -> ModelRequest:
    """What the options of `add_mounted` and `--ROLE-model` of each of `roles` say.

    Raises: RequestInvalid, naming the option; Mismatch, where a folder that was named is none.
    """
    paths = {role: getattr(options, f"{role}_model") for role in roles}
    return ModelRequest(
        model_root=_model_root(options.model_root),
        model_set=parse_set_digest(options.model_set, name="`--model-set`") if options.model_set else None,
        backend=backend,
        models=model_settings(options, paths, options.device),
    )


def _model_root(text: str | None) -> Path:
    if text is None:
        return Path(DEFAULT_MODEL_ROOT)
    root = local_path(text, name="`--model-root`")
    if not root.is_dir():
        hint = "Mount the model volume there, or leave `--model-root` out: without a model set, age and gender stay unknown"
        raise Mismatch("model-set-absent", f"`--model-root` `{text}` is no folder", hint=hint)
    return root


def model_settings(options: argparse.Namespace, paths: dict[Role, str], device: str) -> ModelSettings:
    """Raises: RequestInvalid, naming the option."""
    return ModelSettings.parse(
        paths=paths,
        device=device,
        device_name="`--device`",
        policy=options.license_policy,
        policy_name="`--license-policy`",
        runtime_mount=os.environ.get(ENV_MOUNT, ""),
    )


def _verify(options: argparse.Namespace) -> int:
    from analyzer.licences import require_licences
    from analyzer.manifest import check_model_set

    policy = model_settings(options, {}, "").licence_policy
    named = DEFAULT_MODEL_ROOT if options.model_root is None else options.model_root
    root = local_path(named, name="`--model-root`")
    expected = parse_set_digest(options.model_set, name="`--model-set`") if options.model_set else None
    model_set = check_model_set(root, expected=expected)
    if model_set.digest is None:
        raise Mismatch("model-set-absent", f"No model is mounted below `{root}`", hint="Mount the model volume there")
    require_licences(model_set, policy)
    _tell(model_set, options.output)
    return ExitCode.OK


def _mark(options: argparse.Namespace) -> int:
    from analyzer.marking import mark

    _tell(mark(local_path(options.root, name="`ROOT`")), options.output)
    return ExitCode.OK


def _tell(model_set: ModelSet, output: str) -> None:
    from analyzer.licences import permits_commercial_use
    from analyzer.manifest import describe

    if output == "json":
        files = [
            {**file.entry, **file.terms, "commercial_use": permits_commercial_use(file)} for file in model_set.files
        ]
        write_out(json.dumps({"schema": "capctl.model-check/1", **describe(model_set), "files": files}, indent=1))
        return
    told = []
    for file in model_set.files:
        terms = f"{file.licence or 'no licence stated'}; {file.permitted_use or 'no permitted use stated'}"
        told.append(f"{file.sha256}  {file.size_bytes:>12}  {file.mode}  {file.path}  ({terms})")
    told += [f"{name}: {'read-only' if read_only else 'writable'}" for name, read_only in model_set.read_only]
    write_out("\n".join([*told, str(model_set.digest)]))
