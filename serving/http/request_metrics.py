"""Counters and latencies of one worker process, and their text for Prometheus.

Each worker counts for itself and labels its series with its process id; whoever scrapes a server of
several workers adds them up (`sum without (worker)`).
"""

from __future__ import annotations

import os
from functools import cache
from typing import TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

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

Metric = TypeVar("Metric", Counter, Histogram)

disable_created_metrics()  # type: ignore[no-untyped-call]
# else each series has a second one beside it: when its process first counted it


class Metrics:
    """The counters of one worker; safe to use from several threads."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._worker = str(os.getpid())
        self._counters = {
            name: Counter(f"personalization_{name}", text, (*labels, "worker"), registry=self._registry)
            for name, (text, labels) in COUNTERS.items()
        }
        self._seconds = Histogram(
            "personalization_request_seconds",
            "Time from the request's arrival in Python to its answer.",
            ("endpoint", "worker"),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._series = cache(self._find_series)  # finding it takes longer than counting

    def count(self, counter: str, *labels: str, amount: int = 1) -> None:
        """Add to a counter of `COUNTERS`; `labels` are values in the order declared there."""
        self._series(self._counters[counter], *labels).inc(amount)

    def answered(self, endpoint: str, status: int, seconds: float) -> None:
        """Count one answered request and how long it took."""
        self.count("requests", endpoint, str(status))
        self._series(self._seconds, endpoint).observe(seconds)

    def text(self, gauges: list[tuple[str, str, dict[str, str], float]]) -> str:
        """Return everything as Prometheus text; a gauge is name, help, labels (the same of each name), value."""
        return (generate_latest(self._registry) + generate_latest(self._measured(gauges))).decode()

    def _find_series(self, metric: Metric, *labels: str) -> Metric:
        return metric.labels(*labels, self._worker)

    def _measured(self, gauges: list[tuple[str, str, dict[str, str], float]]) -> CollectorRegistry:
        registry, made = CollectorRegistry(), dict[str, Gauge]()
        for name, text, labels, value in gauges:
            if name not in made:
                made[name] = Gauge(name, text, (*labels, "worker"), registry=registry)
            made[name].labels(*labels.values(), self._worker).set(value)
        return registry
