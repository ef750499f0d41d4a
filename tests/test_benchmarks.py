"""The benchmarks can be started: nothing that they measure was renamed or moved away from them."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

NAMES = sorted(path.stem for path in (Path(__file__).parent / "benchmarks").glob("bench_*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_finds_what_it_measures(name: str) -> None:
    assert callable(importlib.import_module(f"tests.benchmarks.{name}").run)
