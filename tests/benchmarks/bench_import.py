"""Import of Complete Journey (1.47 M purchases, 92 k products) against bare reading and writing of the same columns.

Each measurement is a process of its own, so that peak memory is that of the import alone; interleaved, the median of
three. The baselines convert nothing, check nothing and pseudonymise nobody.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from personalization_pipelines.content.files.complete_journey import complete_journey_files
from tests.benchmarks.report import Report

ROUNDS = 3
COLUMNS = ["household_id", "basket_id", "product_id", "quantity", "sales_value", "transaction_timestamp"]

_MEASURED = """
import json, resource, sys, time
from pathlib import Path
files, target = json.loads(sys.argv[1]), Path(sys.argv[2])
{setup}
began, spent = time.perf_counter(), time.process_time()
{work}
seconds, cpu = time.perf_counter() - began, time.process_time() - spent
print(json.dumps([seconds, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""
_WEBSITE = """
from personalization_pipelines.content.catalogue.items import import_items
from personalization_pipelines.content.files.import_events import import_events
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
home = Home(target)
home.create()
shop = Website.model_validate({"website": "shop", "customer_id": "1", "license_key": "1111-2222"})
"""
_TASKS = {
    "import of events": (
        _WEBSITE,
        'import_events(home, shop, [files["events"]], mapping="complete_journey_events", shift_to_now=True)',
    ),
    "import of items": (_WEBSITE, 'import_items(home, shop, [files["items"]], mapping="complete_journey_items")'),
    "duckdb copy": (
        "import duckdb",
        f"duckdb.sql(f\"copy (select {', '.join(COLUMNS)} from '{{files['events']}}') "
        "to '{target}/copy.parquet' (compression zstd)\")",
    ),
    "pandas copy": (
        "import pandas",
        f"pandas.read_parquet(files['events'], columns={COLUMNS})"
        ".to_parquet(target / 'copy.parquet', compression='zstd')",
    ),
}


def run(report: Report) -> None:
    """Measure seconds and peak memory of each task."""
    rounds = [{name: _measure(*task) for name, task in _TASKS.items()} for _ in range(ROUNDS)]
    seconds = {name: statistics.median(one[name][0] for one in rounds) for name in _TASKS}
    cpu = {name: statistics.median(one[name][1] for one in rounds) for name in _TASKS}
    memory = {name: max(one[name][2] for one in rounds) for name in _TASKS}
    report.add("import 1.47 M events", seconds["import of events"], "s", seconds["duckdb copy"], "≤ 6 s")
    report.add("import 1.47 M events vs pandas copy", seconds["import of events"], "s", seconds["pandas copy"])
    report.add("import 1.47 M events, processor time", cpu["import of events"], "s", cpu["pandas copy"])
    report.add(
        "import 1.47 M events, peak memory", memory["import of events"], "MB", memory["pandas copy"], "< 1,000 MB"
    )
    report.add("import 92 k items with prices of 1.47 M sales", seconds["import of items"], "s")
    report.add("import 92 k items, processor time", cpu["import of items"], "s")
    report.add("import 92 k items, peak memory", memory["import of items"], "MB", goal="< 1,000 MB")


def _measure(setup: str, work: str) -> tuple[float, float, float]:
    files = json.dumps({kind: str(path) for kind, path in complete_journey_files().items()})
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory) / "home"
        target.mkdir()
        code = _MEASURED.format(setup=setup, work=work)
        done = subprocess.run(
            [sys.executable, "-c", code, files, str(target)], capture_output=True, text=True, check=True
        )
    seconds, cpu, megabytes = json.loads(done.stdout.splitlines()[-1])
    return seconds, cpu, megabytes
