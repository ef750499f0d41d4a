"""The one Flask application: each block of the HTTP contract is a blueprint and is handed the same `Services`.

Nothing here or below imports what learns (dagster, pandas, scipy, implicit, great_expectations): a worker
maps what was published and starts within a second.
"""

from __future__ import annotations

from flask import Flask

from personalization_pipelines.events.live import LiveReader
from personalization_pipelines.events.log import SegmentLog
from personalization_pipelines.home import Home
from serving import (
    content,
    erasing,
    health,
    imports,
    legacy,
    notifications,
    openapi,
    problems,
    recommending,
    tracker_script,
    tracking,
    users,
)
from serving.metrics import Metrics
from serving.services import Services
from serving.websites import Websites


def create_app(home: Home, *, shop: str | None = None) -> Flask:
    """Return the application of one home; `shop` names the website whose demonstration shop is served at `/demo/`.

    Call it once a worker process: it opens that process's own segment of the event log.
    """
    services = Services(home, Websites(home), SegmentLog(home.log), LiveReader(home.live_database), Metrics())
    return create_app_with(services, shop=shop)


def create_app_with(services: Services, *, shop: str | None = None) -> Flask:
    """Return the application around services that already exist."""
    app = Flask("serving", static_folder=None)
    app.url_map.merge_slashes = False  # an empty user (`/click//1/5`) is a user, not a typing error
    app.extensions["personalization"] = services
    problems.register(app)
    for block in (
        recommending,
        tracking,
        tracker_script,
        content,
        notifications,
        erasing,
        users,
        imports,
        health,
        openapi,
        legacy,
    ):
        app.register_blueprint(block.blueprint(services))
    if shop is not None:
        from serving import shop as shop_front  # only the demonstration needs it

        app.register_blueprint(shop_front.blueprint(services, shop))
    return app
