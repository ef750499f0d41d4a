"""`personalization check`: what an import would refuse is an error with its line, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from personalization_pipelines.cli import main
from personalization_pipelines.foundation.home import Home

SITE = """\
website: shop
customer_id: "1"
license_key: "1111-2222-3333-4444-5555"
content:
  sources:
    - {{files: "items/*.csv", format: csv}}
    - files: "more/*.csv"
      format: csv
      mapping: {mapping}
"""
MAPPING = "kind: items\ncolumns: {item_id: sku}\n"


def check(home: Home, mapping: str, line: str = "") -> tuple[int, list[str]]:
    (home.websites / "shop.yaml").write_text(SITE.format(mapping=mapping) + line)
    done = CliRunner().invoke(main, ["check"], env={"PERSONALIZATION_HOME": str(home.root)}, catch_exceptions=False)
    return done.exit_code, done.output.splitlines()


def test_a_mapping_that_is_not_there_is_an_error_with_file_and_line(home: Home) -> None:
    code, (head, problem) = check(home, "maps/items.yml")
    assert (code, head) == (1, "✗ shop")
    where = f"{home.websites / 'shop.yaml'}:9: content.sources[1].mapping: "
    assert problem.startswith(f"    {where}mapping '{home.root}/maps/items.yml': no such file")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("kind: items\ncolums: {}\n", "items.yml:2: colums: unknown key; did you mean columns?"),
        ("kind: items\ncsv: {delimter: x}\n", "items.yml:2: csv.delimter: unknown key; did you mean delimiter?"),
        ("kind: events\n", "items.yml:1: kind: this maps events, not items"),
        ("kind: [\n", "items.yml:2: file: this is not YAML"),
        ("kind: items\ncolumns: 3\n", "items.yml:2: columns: expected keys and values below it, found the number `3`"),
        ("3\n", "items.yml:1: file: expected keys and values below it, found the number `3`"),
    ],
)
def test_a_mapping_with_mistakes_is_an_error_with_both_places(home: Home, text: str, sentence: str) -> None:
    (home.root / "items.yml").write_text(text)
    code, lines = check(home, "items.yml")
    assert code == 1
    assert lines[1].startswith(f"    {home.websites / 'shop.yaml'}:9: content.sources[1].mapping: "), lines
    assert sentence in lines[1] and "Input should" not in lines[1]


def test_a_mapping_beside_the_home_and_a_shipped_one_are_fine(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home.root / "items.yml").write_text(MAPPING)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for mapping in ("items.yml", str(home.root / "items.yml"), "complete_journey_items"):
        code, lines = check(home, mapping)
        assert code == 0 and lines[0].startswith("✓ shop"), lines


def test_a_shipped_mapping_that_is_misspelt_is_named(home: Home) -> None:
    code, lines = check(home, "complete-journey-item")
    assert code == 1 and lines[1].endswith("; did you mean complete_journey_items?")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("Models: {}", "unknown key; did you mean models?"),
        ("trigger: {}", "unknown key; triggers is not built yet; built here are category_from_clicks, "),
        ("triggers: {}", "`triggers` is not built yet; remove it to use the file with this version"),
        ("models: {a: {type: popularty}}", "there is no model type `popularty`; did you mean popularity?"),
        ("models: {a: {type: also-bougt}}", "there is no model type `also-bougt`; did you mean also_bought?"),
        ("models: {a: {type: bundel}}", "there is no model type `bundel`; bundle is not built yet; built are "),
        ("models: {a: {type: session_knn}}", "`type: session_knn` is not built yet; did you mean item_knn?"),
        ("models: {a: {type: random}}", "`type: random` is not built yet; built are "),
        ("models: {a: {type: popularity, submodel: {}}}", "unknown key; submodels is not built yet; built here are "),
        ("models: {a: {type: also_bought, similarity: lift}}", "`similarity: lift` is not built yet; built are cosine"),
    ],
)  # fmt: skip
def test_what_is_unknown_or_not_built_names_what_is(home: Home, line: str, sentence: str) -> None:
    code, lines = check(home, "complete_journey_items", line + "\n")
    assert code == 1
    assert any(f":10: {place}" in one and sentence in one for one in lines for place in ("", "models.a")), lines
