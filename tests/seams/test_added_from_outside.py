"""Seams: what is added often is added from outside, by a package of its own, without a line changed in this one.

`outside/` is laid out as an installed package with entry points; the feature table is a file and a contract beside the
others. One process has all of it from its start: imports its files, builds, serves.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dbt_like_sql

HERE = Path(__file__).parent
SQL = """\
-- How many items there are of each type.
select
    item_type,
    count(*) as items
from items
group by item_type
order by item_type
"""
CONTRACT = """
items_by_type:
  description: How many items there are of each type.
  key: [item_type]
  columns:
    item_type: {type: integer, description: The item type., minimum: 1}
    items: {type: bigint, description: How many., minimum: 1}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the installation with everything in it says."""
    place = tmp_path_factory.mktemp("outside")
    tables = Path(shutil.copytree(Path(dbt_like_sql.__file__).parent, place / "dbt_like_sql"))
    (tables / "statistics" / "items_by_type.sql").write_text(SQL)
    with (tables / "contracts.yml").open("a") as file:
        file.write(CONTRACT)
    home = place / "home"
    paths = [place, HERE / "outside", HERE.parents[1]]
    environment = os.environ | {"PYTHONPATH": ":".join(map(str, paths)), "PERSONALIZATION_HOME": str(home)}
    command = [sys.executable, str(HERE / "installation.py"), str(home)]
    done = subprocess.run(command, env=environment, cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["failures"] == []
    return found


def test_a_model_type_with_a_form_of_its_own_recommends_and_a_filter_holds_back(made: dict[str, Any]) -> None:
    items = made["answer"]["recommendationItems"]
    assert [one["itemId"] for one in items] == [6, 4]  # the model says 7 to 3; 7, 5 and 3 have odd prices
    assert items[0]["relevance"] > items[1]["relevance"]
    explained = json.dumps(made["answer"]["explanation"])
    assert "odd price" in explained


def test_a_file_format_is_read_and_a_table_is_built_from_it(made: dict[str, Any]) -> None:
    assert made["table"] == [{"item_type": 1, "items": 7}]
