"""What pages of docs/ say of the code is made from it: tables of contents, configuration keys, models, feature tables.

`make docs` (`python -m tests.made_documents`) writes what stands between `<!-- made: NAME -->` and `<!-- end -->`;
`tests/test_documentation.py` fails, with the difference, where a page is behind.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from personalization_pipelines.models.parameters import Learning, Model
from personalization_pipelines.models.registry import TYPES, parameter_classes, type_names
from personalization_pipelines.quality.contracts import load_contracts
from personalization_pipelines.website.json_schema import json_schema
from personalization_pipelines.website.not_built import UNBUILT

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PART = re.compile(r"(<!-- made: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
HEADING = re.compile(r"^(#{2,3}) (.+)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
IN_LIST, BY_NAME = "[]", "<name>"
NOTHING = "-"

Place = tuple[str, ...]


class Key(NamedTuple):
    """A place in the website's file (with `[]` and `<name>` on the way), its schema, whether it must be there."""

    place: Place
    schema: dict[str, Any]
    required: bool


def pages() -> list[Path]:
    """Return every page of docs/."""
    return sorted(DOCS.rglob("*.md"))


def as_made(text: str) -> str:
    """Return a page with all its made parts as they are today."""

    def made(found: re.Match[str]) -> str:
        body = contents(text) if found[2] == "contents" else PARTS[found[2]]()
        return f"{found[1]}{body}\n{found[3]}"

    return PART.sub(made, text)


def headings(text: str) -> Iterator[tuple[int, str]]:
    """Yield level and text of the headings (second and third level) of a page."""
    for marks, title in HEADING.findall(FENCED.sub("", text)):
        yield len(marks), title


def anchor(title: str) -> str:
    """Return the address of a heading within its page, as GitHub and most renderers make it."""
    bare = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).lower()
    return re.sub(r"[^\w\- ]", "", bare).replace(" ", "-")


def contents(text: str) -> str:
    """Return the table of contents of a page."""
    return "\n".join(f"{'  ' * (level - 2)}- [{title}](#{anchor(title)})" for level, title in headings(text))


def website_keys() -> str:
    """Return every key of a website's file, a table for each of the file's parts; models have a page of their own."""
    schema = json_schema()
    keys = list(_keys(schema, schema, ()))
    inner = {key.place[0] for key in keys if len(key.place) > 1}
    first = [key for key in keys if key.place[0] not in inner]
    parts = [_table(first)]
    for name in [one for one in schema["properties"] if one in inner]:
        about = _described(schema, schema["properties"][name])
        parts.append(f"### `{name}`\n\n{about}\n\n{_table([key for key in keys if key.place[0] == name][1:])}")
    return "\n\n".join(parts)


def _keys(whole: dict[str, Any], node: dict[str, Any], place: Place) -> Iterator[Key]:
    for name, schema in node.get("properties", {}).items():
        here = (*place, name)
        yield Key(here, {**schema, "description": _described(whole, schema)}, name in node.get("required", ()))
        if here != ("models",):
            yield from _below(whole, schema, here)


def _below(whole: dict[str, Any], schema: dict[str, Any], place: Place) -> Iterator[Key]:
    node = _resolved(whole, schema) if "$ref" in schema else schema
    yield from _keys(whole, node, place)
    for option in (*node.get("anyOf", ()), *node.get("oneOf", ())):
        yield from _below(whole, option, place)
    for inside, shown in (("items", IN_LIST), ("additionalProperties", BY_NAME)):
        if isinstance(node.get(inside), dict):
            yield from _below(whole, node[inside], (*place, shown))


def _resolved(whole: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = whole["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return found


def _described(whole: dict[str, Any], schema: dict[str, Any]) -> str:
    # a description that is the one of what the schema refers to stands only there
    found: str = schema.get("description") or _resolved(whole, schema)["description"]
    return found


def _table(keys: list[Key], within: int = 0) -> str:
    rows = [f"| `{_shown(key.place[within:])}` | {_values(key)} | {_default(key)} | {_meaning(key)} |" for key in keys]
    return "\n".join(["| key | values | default | meaning |", "|---|---|---|---|", *rows])


def _shown(place: Place) -> str:
    return ".".join(place).replace(f".{IN_LIST}", IN_LIST)


def _values(key: Key) -> str:
    kinds = [_kind(option) for option in _options(key.schema) if option.get("type") != "null"]
    return "percentage" if "percentage" in kinds else " or ".join(dict.fromkeys(kinds))


def _options(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return schema.get("anyOf") or schema.get("oneOf") or [schema]


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema or schema.get("type") == "object" or "properties" in schema:
        return "mapping"
    if "enum" in schema:
        return " \\| ".join(f"`{_yaml(value)}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{_yaml(schema['const'])}`"
    if "%" in schema.get("pattern", ""):
        return "percentage"
    if schema.get("pattern", "").endswith("[smhdw]$"):
        return "time span"
    if "type" not in schema:
        return " or ".join(_kind(option) for option in _options(schema))
    names = {
        "array": "list",
        "string": "text",
        "integer": "number",
        "number": "number",
        "boolean": "`true` \\| `false`",
    }
    return names[schema["type"]] + _range(schema)


def _range(schema: dict[str, Any]) -> str:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum")
    if low is None:
        return ""
    below = "above " if "exclusiveMinimum" in schema else ""
    return f", {below}{low:,} to {high:,}" if high is not None else f", {below or 'at least '}{low:,}"


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_yaml(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _default(key: Key) -> str:
    if key.required:
        return "required"
    value = key.schema.get("default")
    if value is None or value in ([], {}):
        return NOTHING
    if isinstance(value, dict) and "$ref" in key.schema:
        return "as below"
    if _values(key) == "percentage":
        return f"`{value:.0%}`"
    return "`default`" if value == ["default"] else f"`{_yaml(value)}`"


def _meaning(key: Key) -> str:
    text = key.schema.get("description", "")
    for unbuilt in UNBUILT:
        if unbuilt.place == ".".join("*" if part in (IN_LIST, BY_NAME) else part for part in key.place):
            which = ", ".join(f"`{value}`" for value in unbuilt.values)
            text += f" **Not built yet{': ' + which if which else ''}.**"
    return text.replace("|", "\\|")


def own_types() -> list[type[Model]]:
    """Return the classes of parameters of this package, without those of other installed ones."""
    return [one for one in parameter_classes() if one.__module__.startswith(TYPES)]


def model_types() -> str:
    """Return a row a model type: what it answers, and what it must be given."""
    rows = []
    for one in own_types():
        names = "<br>".join(f"`{name}`" for name in type_names(one))
        rows.append(f"| {names} | {_said(one)} | {_needed(one)} | {_history(one)} |")
    head = ["| `type` | what it answers | what a request must bring | learns from |", "|---|---|---|---|"]
    return "\n".join([*head, *rows])


def _said(one: type[Model]) -> str:
    said = (one.__doc__ or "").strip().split(": ", 1)[1]
    return said[0].upper() + said[1:]


def _needed(one: type[Model]) -> str:
    example = one.model_construct(type=type_names(one)[0])
    return "nothing" if example.needs == "none" else (type(example).needs.__doc__ or "").strip().rstrip(".")


def _history(one: type[Model]) -> str:
    if not issubclass(one, Learning):
        return "no events"
    history = next(key for key in _parameters(one) if key.place[-1] == "history")
    return f"events of the last {_default(history)}"


def model_parameters() -> str:
    """Return the parameters of all model types: those that all share, then a table a class."""
    kinds = own_types()
    shared = [key for key in _parameters(kinds[0]) if key.place[2] in Model.model_fields]
    parts = [f"### Parameters of every type\n\n{_table(shared, 2)}"]
    for one in kinds:
        own = [key for key in _parameters(one) if key.place[2] not in Model.model_fields]
        title = ", ".join(f"`{name}`" for name in type_names(one))
        parts.append(f"### {title}\n\n{_table(own, 2)}")
    return "\n\n".join(parts)


def _parameters(one: type[Model]) -> list[Key]:
    whole = json_schema()
    keys = _keys(whole, whole["$defs"][one.__name__], ("models", BY_NAME))
    return [_with_schedule(one, key) for key in keys if key.place[2:] != ("type",)]


def _with_schedule(one: type[Model], key: Key) -> Key:
    """Return the key with the default of `build`, which is made and therefore not in the schema."""
    if key.place[2:] != ("build",):
        return key
    default = one.model_fields["build"].get_default(call_default_factory=True).text
    return key._replace(schema={**key.schema, "default": default})


def feature_tables() -> str:
    """Return a row a feature table: what it holds, and what tells its rows apart."""
    rows = [
        f"| `{name}` | {contract.description} | {', '.join(f'`{one}`' for one in contract.key)} |"
        for name, contract in sorted(load_contracts().items())
    ]
    return "\n".join(["| table | what it holds | key |", "|---|---|---|", *rows])


def rooms() -> str:
    """Return a row a room of the tree: which other rooms its modules import, `assets.py` aside."""
    found = {room: sorted(Path(other).name for other in _imported(ROOT / room)) for room in _rooms()}
    rows = [f"| `{Path(room).name}/` | {', '.join(others) or 'none'} |" for room, others in found.items()]
    return "\n".join(["| room | imports |", "|---|---|", *rows])


def _rooms() -> list[str]:
    inside = sorted((ROOT / "personalization_pipelines").glob("*/__init__.py"))
    return [f"personalization_pipelines/{path.parent.name}" for path in inside] + ["serving"]


def _imported(room: Path) -> set[str]:
    modules = [path for path in room.rglob("*.py") if path.name != "assets.py"]
    names = {name for path in modules for name in _imports(ast.parse(path.read_text()))}
    return {other for other in _rooms() if other.replace("/", ".") in names and ROOT / other != room}


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            yield from (parts[0], ".".join(parts[:2]))


def decisions() -> str:
    """Return a row a decision: the title of its page, and the page."""
    paths = [path for path in sorted((DOCS / "decisions").glob("*.md")) if path.name != "README.md"]
    return "\n".join(f"- [{path.read_text().partition(chr(10))[0].removeprefix('# ')}]({path.name})" for path in paths)


PARTS: dict[str, Callable[[], str]] = {
    "website-keys": website_keys,
    "model-types": model_types,
    "model-parameters": model_parameters,
    "feature-tables": feature_tables,
    "rooms": rooms,
    "decisions": decisions,
}


def main() -> None:
    """Write every page's made parts."""
    for page in pages():
        text = page.read_text()
        if (made := as_made(as_made(text))) != text:  # twice: made parts have headings, which are contents
            page.write_text(made)
            print(f"wrote {page.relative_to(DOCS.parent)}")


if __name__ == "__main__":
    main()
