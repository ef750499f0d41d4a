"""Counters and latencies of one worker process in Prometheus' text format (exposition format 0.0.4).

Each worker counts for itself and labels its series with its process id; whoever scrapes a server of
several workers adds them up (`sum without (worker)`).
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_left
from collections import defaultdict

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""Upper bounds of the latency histogram in seconds."""

COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "requests": ("Requests answered.", ("endpoint", "status")),
    "recommendations": ("Recommendation answers with at least one item.", ("website", "scenario")),
    "recommendations_empty": ("Recommendation answers without an item.", ("website", "scenario")),
    "recommendations_impossible": ("Recommendation requests with nothing to start from.", ("website", "scenario")),
    "events_acknowledged": ("Events acknowledged after they were durable.", ("website", "event")),
    "events_refused": ("Events refused with a status.", ("website", "status")),
    "live_store_unavailable": ("Answers composed without live history.", ("website",)),
}


class Metrics:
    """The counters of one worker; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: defaultdict[tuple[str, ...], int] = defaultdict(int)
        self._buckets: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(BUCKETS) + 1))
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def count(self, counter: str, *labels: str, amount: int = 1) -> None:
        """Add to a counter of `COUNTERS`; `labels` are values in the order declared there."""
        with self._lock:
            self._counts[counter, *labels] += amount

    def answered(self, endpoint: str, status: int, seconds: float) -> None:
        """Count one answered request and how long it took."""
        with self._lock:
            self._counts["requests", endpoint, str(status)] += 1
            self._buckets[endpoint][bisect_left(BUCKETS, seconds)] += 1
            self._seconds[endpoint] += seconds

    def text(self, gauges: list[tuple[str, str, dict[str, str], float]]) -> str:
        """Return everything as Prometheus text; a gauge is name, help, labels, value."""
        with self._lock:
            counts, seconds = dict(self._counts), dict(self._seconds)
            buckets = {endpoint: list(row) for endpoint, row in self._buckets.items()}
        worker = {"worker": str(os.getpid())}
        lines = _counter_lines(counts, worker) + _histogram_lines(buckets, seconds, worker)
        for name in dict.fromkeys(name for name, *_ in gauges):
            mine = [gauge for gauge in gauges if gauge[0] == name]
            lines += _head(name, mine[0][1], "gauge")
            lines += [_line(name, labels | worker, value) for _, _, labels, value in mine]
        return "\n".join(lines) + "\n"


def _counter_lines(counts: dict[tuple[str, ...], int], worker: dict[str, str]) -> list[str]:
    lines = []
    for counter, (text, labels) in COUNTERS.items():
        name = f"personalization_{counter}_total"
        lines += _head(name, text, "counter")
        for (which, *values), value in sorted(counts.items()):
            if which == counter:
                lines.append(_line(name, dict(zip(labels, values, strict=True)) | worker, value))
    return lines


def _histogram_lines(buckets: dict[str, list[int]], seconds: dict[str, float], worker: dict[str, str]) -> list[str]:
    name = "personalization_request_seconds"
    lines = _head(name, "Time from the request's arrival in Python to its answer.", "histogram")
    for endpoint, row in sorted(buckets.items()):
        labels, total = {"endpoint": endpoint} | worker, 0
        for bound, amount in zip((*map(str, BUCKETS), "+Inf"), row, strict=True):
            total += amount
            lines.append(_line(f"{name}_bucket", labels | {"le": bound}, total))
        lines += [_line(f"{name}_sum", labels, round(seconds[endpoint], 6)), _line(f"{name}_count", labels, total)]
    return lines


def _head(name: str, text: str, kind: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def _line(name: str, labels: dict[str, str], value: float) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{inside}}} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
