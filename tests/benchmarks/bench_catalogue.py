"""Import of a catalogue by XML, Parquet and a CMS's JSON, against bare reading of the same bytes.

A million items, or as many as `PERSONALIZATION_BENCH_ITEMS` says. Each measurement is a process of its own, so that
peak memory is that of the import alone. The baselines keep nothing and check nothing but the syntax: expat and ijson
with one Python call or tuple an event, pyarrow into memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from personalization_pipelines.content.catalogue.items import catalogue
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
from tests.benchmarks.catalogue_files import make_files
from tests.benchmarks.report import Report

ITEMS = int(os.environ.get("PERSONALIZATION_BENCH_ITEMS", "1_000_000"))
GOALS = {"parquet": "≥ 300,000 items/s", "xml": "≥ 40,000 items/s", "json": "≥ 40,000 items/s"}
SHOP = {"website": "shop", "customer_id": "1", "license_key": "1111-2222"}

_MEASURED = """
import json, sys, time
from pathlib import Path
file, target = sys.argv[1], Path(sys.argv[2])
{setup}
began = time.perf_counter()
{work}
seconds = time.perf_counter() - began
most = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # not ru_maxrss: it begins at ours
print(json.dumps([seconds, int(most.split()[1]) / 1024]))
"""
_IMPORT = (
    f"""
from personalization_pipelines.content.catalogue.items import import_items
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import Website
home = Home(target)
home.create()
shop = Website.model_validate({SHOP})
""",
    "import_items(home, shop, [file])",
)
_BARE = {
    "xml": (
        "from xml.parsers import expat\nparser = expat.ParserCreate()\n"
        "parser.StartElementHandler = lambda name, given: None\nparser.EndElementHandler = lambda name: None\n"
        "parser.CharacterDataHandler = lambda text: None\nparser.buffer_text = True",
        "parser.ParseFile(open(file, 'rb'))",
    ),
    "json": ("import ijson", "for _ in ijson.basic_parse(open(file, 'rb'), use_float=True): pass"),
    "parquet": ("import pyarrow.parquet as pq", "pq.read_table(file)"),
}


def run(report: Report) -> None:
    """Measure items a second and peak memory of each format."""
    with tempfile.TemporaryDirectory() as directory:
        files = make_files(Path(directory), Website.model_validate(SHOP), ITEMS)
        for form, path in files.items():
            home = Path(directory, form)
            seconds, peak = _measure(*_IMPORT, path, home)
            bare, bare_peak = _measure(*_BARE[form], path, home)
            _check(home)
            name = f"import {ITEMS:,} items by {form} ({path.stat().st_size / 1e6:,.0f} MB)"
            report.add(name, ITEMS / seconds, "items/s", ITEMS / bare, GOALS[form])
            report.add(f"{name}, peak memory", peak, "MB", bare_peak, "< 1,500 MB")


def _check(home: Path) -> None:
    """All formats have to bring all items, otherwise the figures mean nothing."""
    newest = catalogue(Home(home), Website.model_validate(SHOP)).newest()
    rows = newest.rows if newest else 0
    assert rows == ITEMS, f"{rows:,} of {ITEMS:,} items arrived"


def _measure(setup: str, work: str, path: Path, home: Path) -> tuple[float, float]:
    home.mkdir(exist_ok=True)
    code = _MEASURED.format(setup=setup, work=work)
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(home)], capture_output=True, text=True, check=True
    )
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak
