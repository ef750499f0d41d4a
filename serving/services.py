"""What every blueprint is given: one value, made once a worker process."""

from __future__ import annotations

from dataclasses import dataclass

from personalization_pipelines.events.live import LiveReader
from personalization_pipelines.events.log import EventLog
from personalization_pipelines.home import Home
from serving.metrics import Metrics
from serving.websites import Websites


@dataclass(frozen=True)
class Services:
    """The parts of one worker: configuration and publications, event log (write), live store (read), metrics."""

    home: Home
    websites: Websites
    log: EventLog
    live: LiveReader
    metrics: Metrics
