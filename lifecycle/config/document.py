"""A YAML file as plain values, with the place of every key and value."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

KeyPath = tuple[str | int, ...]

# No real configuration comes near; a few aliases of aliases make billions of values.
_MAX_VALUES = 20_000
_ODD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Position:
    """Line and column in a file, both from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing that is wrong: where it stands (`capctl.yaml:4:27`, or a variable), what, and what to write instead."""

    where: str
    text: str
    hint: str = ""
    position: Position = Position(line=1, column=1)

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


@dataclass(slots=True, kw_only=True)
class Document:
    """`value` holds dict, tuple and scalars; `keys` and `values` hold the place of each path, `source` the text of scalars."""

    value: Any = None
    keys: dict[KeyPath, Position] = field(default_factory=dict)
    values: dict[KeyPath, Position] = field(default_factory=dict)
    source: dict[KeyPath, str] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def position(self, path: KeyPath) -> Position:
        """Place of the value at `path`, or of the nearest enclosing value."""
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, Position(line=1, column=1))

    def key_position(self, path: KeyPath) -> Position:
        """Place of the key at `path`, or of the nearest enclosing key."""
        while path and path not in self.keys:
            path = path[:-1]
        return self.keys.get(path, Position(line=1, column=1))


def read_document(text: str, name: str) -> Document:
    """Parse one YAML document; `name` is how mistakes call the file.

    Never raises for bad YAML: syntax errors, aliases without end and duplicate keys are in `mistakes`. Lists
    become tuples, because values are immutable from here on.
    """
    document = Document()
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is not None:
            _read(loader, root, (), document, name, ())
            document.value = _value(loader, root)
    except yaml.MarkedYAMLError as error:
        document.mistakes.append(_syntax_mistake(error, name))
    except RecursionError:
        document.mistakes.append(
            Mistake(where=f"{name}:1:1", text="not valid YAML: nested too deeply", hint="Close what is opened")
        )
    except yaml.reader.ReaderError as error:
        line, column = text.count("\n", 0, error.position) + 1, error.position - text.rfind("\n", 0, error.position)
        position = Position(line=line, column=column)
        problem = f"not valid YAML: the character #x{ord(text[error.position]):04x} is not allowed"
        document.mistakes.append(Mistake(where=f"{name}:{position}", text=problem, hint="Remove it", position=position))
    return document


def _read(
    loader: yaml.SafeLoader, node: yaml.Node, path: KeyPath, document: Document, name: str, open_nodes: tuple[int, ...]
) -> None:
    document.values[path] = _position(node)
    if isinstance(node, yaml.ScalarNode):
        _mend_characters(node, document, name)
    if id(node) in open_nodes:
        raise yaml.constructor.ConstructorError(None, None, "an alias contains itself", node.start_mark)
    if len(document.values) > _MAX_VALUES:
        raise yaml.constructor.ConstructorError(None, None, "too many values, by aliases of aliases", node.start_mark)
    if isinstance(node, yaml.ScalarNode):
        document.source[path] = node.value
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _read(loader, item, (*path, index), document, name, (*open_nodes, id(node)))
    elif isinstance(node, yaml.MappingNode):
        for key_node, _ in node.value:
            _mend_characters(key_node, document, name)
        _find_repeated_keys(node, path, document, name)
        loader.flatten_mapping(node)
        for key_node, key, value_node in _entries(node):
            document.keys[(*path, key)] = _position(key_node)
            _read(loader, value_node, (*path, key), document, name, (*open_nodes, id(node)))


def odd_character(text: str) -> str | None:
    """What is wrong with a character that no setting can hold, such as NUL or half of a UTF-16 pair; None where none is."""
    found = _ODD.search(text)
    return f"the character #x{ord(found[0]):04x} is not allowed" if found else None


def _mend_characters(node: yaml.Node, document: Document, name: str) -> None:
    """Escapes such as `\\0` and `\\ud800` pass the reader of YAML; what goes on with the text can be sure of it."""
    if not isinstance(node.value, str) or not (problem := odd_character(node.value)):
        return
    node.value = _ODD.sub("\ufffd", node.value)
    position = _position(node)
    document.mistakes.append(
        Mistake(
            where=f"{name}:{position}",
            text=problem,
            hint="Remove it, or write the letter itself instead of its escape",
            position=position,
        )
    )


def _find_repeated_keys(node: yaml.MappingNode, path: KeyPath, document: Document, name: str) -> None:
    first: dict[str, Position] = {}
    for key_node, key, _ in _entries(node):
        position = _position(key_node)
        if key in first:
            document.mistakes.append(
                Mistake(
                    where=f"{name}:{position}",
                    text=f"`{dotted((*path, key))}` is set twice, first in line {first[key].line}",
                    hint="Keep one of the two",
                    position=position,
                )
            )
        first.setdefault(key, position)


def _value(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {key: _value(loader, value) for _, key, value in _entries(node)}
    if isinstance(node, yaml.SequenceNode):
        return tuple(_value(loader, item) for item in node.value)
    try:
        return loader.construct_object(node, deep=True)
    except ValueError:  # a date such as 2024-99-99
        return node.value


def _entries(node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, str, yaml.Node]]:
    """Keys as they are written: `on:` stays the word `on`, whatever YAML 1.1 makes of it."""
    for key_node, value_node in node.value:
        yield key_node, str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?", value_node


def _position(node: yaml.Node) -> Position:
    return Position(line=node.start_mark.line + 1, column=node.start_mark.column + 1)


def _syntax_mistake(error: yaml.MarkedYAMLError, name: str) -> Mistake:
    mark = error.problem_mark or error.context_mark
    position = Position(line=mark.line + 1, column=mark.column + 1) if mark else Position(line=1, column=1)
    problem = (error.problem or "unreadable").replace("\\t", "tab")
    context = f" {error.context}" if error.context else ""
    return Mistake(
        where=f"{name}:{position}",
        text=f"not valid YAML: {problem}{context}",
        hint="Indent with spaces, one step per level, and quote text that holds `: ` or `#`",
        position=position,
    )


def dotted(path: KeyPath) -> str:
    """A path as people write it: `targets.dev.ami.volume_gib`, `image.include[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
