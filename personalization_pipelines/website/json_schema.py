"""The configuration as JSON schema: for editors (`personalization check --schema`) and for our own hints."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from personalization_pipelines.foundation.fields import span_text
from personalization_pipelines.website.strict_yaml import Path
from personalization_pipelines.website.values import Website

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Generator(GenerateJsonSchema):
    """Writes defaults as the YAML does: time spans like 30d."""

    def encode_default(self, dft: Any) -> Any:
        return span_text(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a website's file.

    It is what a file *may* say; `website.built` refuses some of it as not built yet. Keys that YAML
    writes as numbers (`item_types`) are property names here, as JSON knows only text there.
    """
    schema = Website.model_json_schema(by_alias=True, schema_generator=_Generator)
    return {"$schema": DIALECT, **schema, "title": "Website", "description": "One website's configuration."}


@cache
def _schema() -> dict[str, Any]:
    return json_schema()


def keys_at(location: Path, schema: dict[str, Any] | None = None) -> list[str]:
    """Return the keys that the mapping at `location` may have; none where any key is allowed.

    `location` is pydantic's: keys, list positions and the tags of unions on the way. Without a `schema` it is in a
    website's file.
    """
    nodes, named = [schema or _schema()], (schema or _schema()).get("$defs", {})
    for part in location:
        nodes = [inner for node in nodes for inner in _inside(node, part, named)]
    return sorted({key for node in nodes for option in _options(node, named) for key in option.get("properties", {})})


def _inside(node: dict[str, Any], part: str | int, named: dict[str, Any]) -> Iterator[dict[str, Any]]:
    mapping = node.get("discriminator", {}).get("mapping", {})
    if part in mapping:  # a tag names the option and no place in the file
        yield {"$ref": mapping[part]}
        return
    for option in _options(node, named):
        if isinstance(part, int) and "items" in option:
            yield option["items"]
        elif part in option.get("properties", {}):
            yield option["properties"][part]
        elif isinstance(option.get("additionalProperties"), dict):
            inner = option["additionalProperties"]
            yield inner
        elif part in ("filter", "site"):  # the tags of a level's category
            yield option


def _options(node: dict[str, Any], named: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the schemas without references and unions that `node` stands for."""
    if "$ref" in node:
        yield from _options(named[node["$ref"].rsplit("/", 1)[-1]], named)
    elif "anyOf" in node or "oneOf" in node:
        for option in node.get("anyOf", []) + node.get("oneOf", []):
            yield from _options(option, named)
    else:
        yield node
