"""The one Flask application: each block of the HTTP contract is a blueprint and is handed the same `Services`.

In front of it stand tracking and recommendations (serving/http/in_front.py).

Nothing here or below imports what learns (dagster, pandas, scipy, implicit, great_expectations): a worker
maps what was published and starts within a second.
"""

from __future__ import annotations

from collections.abc import Iterator

from flask import Flask

from personalization_pipelines.events.judging.origins import Origins
from personalization_pipelines.events.live.live_history import LiveReader
from personalization_pipelines.events.log.event_log import SegmentLog
from personalization_pipelines.foundation.home import Home
from serving.content import catalogue_views as content
from serving.content import import_views as imports
from serving.content import notification_views as notifications
from serving.http import health, problems
from serving.http.in_front import stand_in_front
from serving.http.request_metrics import Metrics
from serving.openapi import document as openapi
from serving.openapi.schemas import Described
from serving.recommending import recommendations_described
from serving.recommending.recommend_views import Recommender
from serving.services import Services
from serving.tracking import tracker_script, tracking_described
from serving.tracking.tracking_views import Tracker
from serving.users import erasing_views as erasing
from serving.users import user_views as users
from serving.websites import Websites

BLOCKS = (tracker_script, content, notifications, erasing, users, imports, health)
"""The views, in the order of the contract: each has its blueprint, and describes itself for `/openapi.json`."""


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
    for block in BLOCKS:
        app.register_blueprint(block.blueprint(services))
    app.register_blueprint(openapi.blueprint(described()))
    if shop is not None:
        from serving import shop as shop_front  # only the demonstration needs it

        app.register_blueprint(shop_front.blueprint(services, shop))
    tracker = Tracker(
        services.websites, services.log, services.home.key, services.metrics, Origins(services.home.day_keys)
    )
    stand_in_front(app, tracker.answer, Recommender(services).answer)
    return app


def described() -> Iterator[Described]:
    """Yield what everything that is answered here says of itself."""
    for one in (tracking_described, recommendations_described, *BLOCKS):
        yield one.describe()
