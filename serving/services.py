"""What every blueprint is given: one value, made once a worker process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from personalization_pipelines.events.live.live_history import LiveReader
from personalization_pipelines.events.log.event_log import EventLog
from personalization_pipelines.foundation.home import Home
from serving.http.access import Access
from serving.http.raw_request import check_url_length, decode_path
from serving.http.request_metrics import Metrics
from serving.websites import ServedWebsite, Websites


@dataclass(frozen=True)
class Services:
    """The parts of one worker: configuration and publications, event log (write), live store (read), metrics."""

    home: Home
    websites: Websites
    log: EventLog
    live: LiveReader
    metrics: Metrics
    access: Access = field(default_factory=Access)
    """One guard for all that needs a key, so that ten wrong keys are ten wherever they are tried."""

    def with_key(self, customer: str, environ: dict[str, Any]) -> ServedWebsite:
        """Return the website whose key a request carries; 400, 401, 414 or 429 where it does not."""
        check_url_length(environ)
        decode_path(environ)
        served = self.websites.by_customer(customer)
        self.access.demand(customer, served.website if served else None, environ)
        assert served is not None  # noqa: S101 - nobody has the key of no website
        return served
