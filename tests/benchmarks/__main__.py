"""Run the benchmarks named on the command line (`serving`, `tracking` …), or all of them."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from tests.benchmarks.report import Report

HERE = Path(__file__).parent


def main(names: list[str]) -> None:
    """Run each `bench_<name>.run(report)`, print the table, write `.bench/latest.json`."""
    report = Report()
    for name in names or sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py")):
        report.console.rule(name)
        importlib.import_module(f"tests.benchmarks.bench_{name}").run(report)
    report.print_table()
    report.write(Path(".bench/latest.json"))


if __name__ == "__main__":
    main(sys.argv[1:])
