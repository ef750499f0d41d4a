from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from personalization_pipelines.models.parameters import Later
from personalization_pipelines.website import example_text, json_schema, load_website
from personalization_pipelines.website.not_built import BUILT_FILTERS, UNBUILT
from personalization_pipelines.website.strict_yaml import read_yaml
from personalization_pipelines.website.values import Website


def nodes(schema: object) -> list[dict[str, Any]]:
    """Every mapping inside a schema."""
    if isinstance(schema, dict):
        return [schema, *(node for inner in schema.values() for node in nodes(inner))]
    return [node for inner in schema for node in nodes(inner)] if isinstance(schema, list) else []


def as_json(value: object) -> object:
    """What a JSON schema looks at: keys are text."""
    if isinstance(value, dict):
        return {str(key): as_json(inner) for key, inner in value.items()}
    return [as_json(inner) for inner in value] if isinstance(value, list) else value


def test_every_key_has_a_description() -> None:
    for definition in [json_schema(), *json_schema()["$defs"].values()]:
        for key, described in definition.get("properties", {}).items():
            assert described.get("description") or "$ref" in described, f"{definition['title']}.{key}"
    assert all(definition.get("description") or "anyOf" in definition for definition in json_schema()["$defs"].values())


def test_unknown_keys_are_errors_for_an_editor_too() -> None:
    for name, definition in json_schema()["$defs"].items():
        if definition.get("type") == "object":
            assert definition.get("additionalProperties") is (name == "Later")


def test_every_reference_of_the_schema_leads_somewhere() -> None:
    schema = json_schema()
    references = {node["$ref"] for node in nodes(schema) if isinstance(node.get("$ref"), str)}
    assert {reference.removeprefix("#/$defs/") for reference in references} <= set(schema["$defs"])


def test_defaults_are_written_as_in_yaml() -> None:
    defaults = [node["default"] for node in nodes(json_schema()["$defs"]) if "default" in node]
    assert "30d" in defaults
    assert not any(isinstance(default, str) and default.startswith("P") for default in defaults)


def test_the_example_is_valid_by_the_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    validator = jsonschema.Draft202012Validator(json_schema())
    example = as_json(read_yaml(example_text().encode()).value)
    assert [error.message for error in validator.iter_errors(example)] == []
    assert list(validator.iter_errors({**example, "modles": {}}))  # type: ignore[dict-item]
    assert list(validator.iter_errors({**example, "models": {"x": {"type": "popularity", "history": "x"}}}))  # type: ignore[dict-item]


def test_the_example_loads_under_any_website_name(tmp_path: Path) -> None:
    path = tmp_path / "toys.yaml"
    path.write_text(example_text("toys", "00042"))
    website = load_website(path)
    assert (website.name, website.customer_id) == ("toys", "00042")
    assert len(website.license_key.get_secret_value()) == 24


def test_each_example_has_a_license_key_of_its_own() -> None:
    assert example_text() != example_text()
    assert 'license_key: "mine"' in example_text(license_key="mine")


def built_keys(kind: Any, place: str = "") -> set[str]:
    """The keys that the values under `kind` read from YAML, without those that are not built yet."""
    found: set[str] = set()
    for inner in get_args(kind):
        found |= built_keys(inner, place)
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind is not Later:
        for name, field in kind.model_fields.items():
            here = f"{place}.{field.alias or name}".lstrip(".")
            if not any(
                unbuilt.place.split(".")[-1] == here.split(".")[-1] and not unbuilt.values for unbuilt in UNBUILT
            ):
                found |= {field.alias or name} | built_keys(field.annotation, here)
    return found


def test_the_example_names_every_built_key() -> None:
    keys = built_keys(Website)
    assert keys > {"website", "neighbours", "levels_up", "max_drop", "never_category", *BUILT_FILTERS}
    missing = {key for key in keys if not re.search(rf"\b{key}\b", example_text())}
    assert missing == set()


def test_the_example_explains_every_type_and_every_line_it_sets() -> None:
    for line in example_text().splitlines():
        if re.fullmatch(r"[a-z_]+: .+", line):
            assert "#" in line, line
