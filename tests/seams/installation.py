"""A whole installation with a stranger's package beside it: `python installation.py HOME`, prints what came of it."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from click.testing import CliRunner

from personalization_pipelines.cli import main
from personalization_pipelines.commands.refresh import refresh
from personalization_pipelines.features.sql_models import feature_path
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website.load import load_website
from personalization_pipelines.website.one_build import Build
from serving.app import create_app

WEBSITE = """\
website: shop
customer_id: "00001"
license_key: 1111-2222-3333-4444-5555
item_types: {1: product}
models:
  last: {type: backwards, list_length: 5}
scenarios:
  end: {input: product, output: [product], strategy: [{models: [last]}]}
content:
  sources: [{files: "never/*.psv", format: psv}]
"""
ITEMS = "item_id|price|currency\n" + "".join(f"{number}|1.0{number}|EUR\n" for number in range(1, 8))


def made(home: Home) -> dict[str, Any]:
    """Return what a command, a build and the server say of what the stranger added."""
    home.create()
    path = home.websites / "shop.yaml"
    path.write_text(WEBSITE)
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    (home.root / "items.psv").write_text(ITEMS)
    (home.root / "events.psv").write_text(f"time|event|user|item_id\n{yesterday}|click|ann|3\n")
    for kind in ("items", "events"):
        done = CliRunner().invoke(main, ["import", kind, str(home.root / f"{kind}.psv"), "--website", "shop"])
        if done.exit_code:
            return {"failures": [done.output]}
    website = load_website(path)
    report = refresh(home, website)
    if report.failures:
        return {"failures": report.failures}
    app = create_app(home)
    answer = app.test_client().get("/api/v2/00001/ann/end?explain=true").json
    table = pq.read_table(feature_path(Build(home, website, datetime.now(UTC)), "items_by_type"))
    app.extensions["personalization"].log.close()
    app.extensions["personalization"].live.close()
    return {"answer": answer, "table": table.to_pylist(), "failures": []}


if __name__ == "__main__":
    print(json.dumps(made(Home(Path(sys.argv[1])))))
