"""Read `capctl.yaml` and the environment, report every mistake at once, and resolve one target.

Precedence, highest first: `CAPCTL_*` variable, target section, `defaults` section, default of the schema; key by key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifecycle.config.document import Document, KeyPath, Mistake, dotted, read_document
from lifecycle.config.environment import read_variables
from lifecycle.config.origins import Layer, Setting, leaves, merged, settings
from lifecycle.config.rules import valid_values
from lifecycle.config.schema import Config, Settings, TargetSection
from lifecycle.config.sections import section_of
from lifecycle.config.suggest import near, one_of
from lifecycle.config.target import Target
from lifecycle.config.validate import complaints
from lifecycle.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A target, and every value behind it with its origin."""

    target: Target
    settings: tuple[Setting, ...]


def load_target(path: Path, name: str | None, *, environment: Mapping[str, str]) -> Target:
    """The target `name`, or the only or default one. Raises `UsageError` with every mistake of file and environment."""
    return resolve(path, name, environment=environment).target


def resolve(path: Path, name: str | None, *, environment: Mapping[str, str]) -> Resolved:
    """Like `load_target`, with origins."""
    document, config = _read_valid(path, environment)
    variables = read_variables(environment)
    chosen = _choose(config, name, path)
    layers = (
        _file_layer(config.get("defaults", {}), document, path, ("defaults",)),
        _file_layer(config["targets"][chosen], document, path, ("targets", chosen)),
        Layer(values=variables.values, origins=variables.names),
    )
    values = valid_values(TargetSection, merged(layers), with_defaults=True)
    target = Target(
        name=chosen,
        project=config["project"],
        account=values["account"],
        region=values["region"],
        profile=values["profile"],
        endpoint_url=values["endpoint_url"],
        registry_url=values["registry_url"],
        folder=path.absolute().parent,
        settings=section_of(Settings, values),
    )
    project = Setting(name="project", value=config["project"], origin=f"{path}:{document.position(('project',))}")
    return Resolved(target=target, settings=(project, *settings(values, layers)))


def check(path: Path, *, environment: Mapping[str, str]) -> dict[str, str]:
    """The account of every target, by the target's name. Raises `UsageError` like `load_target`."""
    _, config = _read_valid(path, environment)
    return {name: target["account"] for name, target in config["targets"].items()}


def _read_valid(path: Path, environment: Mapping[str, str]) -> tuple[Document, dict[str, Any]]:
    document = _read(path, environment)
    mistakes = [*document.mistakes]
    if not mistakes or document.value is not None:
        mistakes += _schema_mistakes(document, path)
    mistakes.sort(key=lambda mistake: mistake.position)
    mistakes += read_variables(environment).mistakes
    if mistakes:
        raise invalid(mistakes, path)
    return document, valid_values(Config, document.value)


def _read(path: Path, environment: Mapping[str, str]) -> Document:
    try:
        return read_document(path.read_text(encoding="utf-8-sig"), str(path))
    except FileNotFoundError as error:
        raise UsageError(
            "config-missing",
            f"There is no configuration file `{path}`",
            hint=_hint_for_missing(path, environment),
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        why = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise UsageError(
            "config-unreadable", f"The configuration file `{path}` cannot be read: {why}", hint="Check `--config`"
        ) from error


def _hint_for_missing(path: Path, environment: Mapping[str, str]) -> str:
    if environment.get("CAPCTL_CONFIG") != str(path):
        return "Write one with `capctl init`, or name it with `--config` or CAPCTL_CONFIG"
    if rehearsal := environment.get("CAPCTL_REHEARSAL"):
        return f"CAPCTL_CONFIG names it, set by rehearsal {rehearsal}, which has ended; open a new shell, or unset that variable"
    return "CAPCTL_CONFIG names it; unset that variable, or name another file with `--config`"


def _schema_mistakes(document: Document, path: Path) -> list[Mistake]:
    if document.value is None:
        text = "the file is empty; it needs at least `project` and `targets`"
        return [Mistake(where=f"{path}:1:1", text=text, hint="Write a filled one with `capctl init --force`")]
    found = [
        _located(document, path, complaint.path, complaint.text, complaint.hint, on_key=complaint.on_key)
        for complaint in complaints(Config, document.value, document.source.get)
    ]
    return found + _default_target_mistake(document, path)


def _default_target_mistake(document: Document, path: Path) -> list[Mistake]:
    value = document.value if isinstance(document.value, dict) else {}
    name, targets = value.get("default_target"), value.get("targets")
    if not isinstance(name, str) or not isinstance(targets, dict) or name in targets:
        return []
    text = f"`default_target` is `{name}`, which is not among the targets"
    return [_located(document, path, ("default_target",), text, f"Write {one_of(targets)}", on_key=False)]


def _located(
    document: Document, path: Path, at: tuple[str | int, ...], text: str, hint: str, *, on_key: bool
) -> Mistake:
    position = document.key_position(at) if on_key else document.position(at)
    return Mistake(where=f"{path}:{position}", text=text, hint=hint, position=position)


def invalid(mistakes: list[Mistake], path: Path) -> UsageError:
    """One error that names every mistake."""
    if len(mistakes) == 1:
        return UsageError("config-invalid", str(mistakes[0]), hint=mistakes[0].hint)
    return UsageError(
        "config-invalid",
        f"The configuration has {len(mistakes)} mistakes",
        details=tuple(str(mistake) for mistake in mistakes),
        hint=f"Correct `{path}`, then run `capctl config check`",
    )


def _choose(config: Mapping[str, Any], name: str | None, path: Path) -> str:
    names = list(config["targets"])
    chosen = name or config.get("default_target") or (names[0] if len(names) == 1 else None)
    if chosen is None:
        raise UsageError(
            "target-unclear",
            f"`{path}` has {len(names)} targets and none was chosen",
            hint=f"Choose {one_of(names)} with `--target`, CAPCTL_TARGET or `default_target`",
        )
    if chosen not in names:
        meant = near(chosen, names)
        raise UsageError(
            "target-unknown",
            f"Target `{chosen}` is not in `{path}`" + (f"; did you mean `{meant}`?" if meant else ""),
            hint=f"Choose {one_of(names)}",
        )
    return chosen


def _file_layer(values: Mapping[str, Any], document: Document, path: Path, at: tuple[str, ...]) -> Layer:
    where = dotted(at)
    origins: dict[KeyPath, str] = {
        leaf: f"{path}:{document.position((*at, *leaf))} {where}" for leaf, _ in leaves(values)
    }
    return Layer(values=values, origins=origins)
