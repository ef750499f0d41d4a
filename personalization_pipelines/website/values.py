"""A website's whole configuration as one frozen value (spec: website.yaml)."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, field_validator

from personalization_pipelines.identifiers import parse_customer_id, parse_item_id, parse_name, parse_website_name
from personalization_pipelines.website.fields import Cron, Percentage, Span, Strict
from personalization_pipelines.website.models import AnyModel
from personalization_pipelines.website.scenarios import Scenario

DEFAULT_WEIGHTS: dict[str, float] = {"click": 1, "consume": 3, "basket": 5, "wishlist": 4, "rate": 4, "buy": 10}
STRONG_EVENT = {"commerce": "buy", "publisher": "consume"}


class Source(Strict):
    """Files that are read on the content schedule (relative to the home)."""

    files: str
    format: Literal["parquet", "csv", "jsonl", "xml", "export"]
    mode: Literal["full", "incremental"] = "full"
    mapping: str | None = None


class Content(Strict):
    """Where the catalogue comes from."""

    sources: list[Source] = []
    export_hosts: list[str] = []
    schedule: Cron = "0 3 * * *"


class Bots(Strict):
    """What marks an event as a robot's."""

    user_agents: Literal["default"] = "default"
    max_events_per_minute: Annotated[int, Field(ge=1)] = 60


class Events(Strict):
    """Where events come from besides the tracker."""

    sources: list[Source] = []
    bots: Bots | None = None


class Retention(Strict):
    """How long events stay in the lake and in the live store."""

    events: Span | None = None
    live: Span = timedelta(days=35)


class Freshness(Strict):
    """When the graph counts as late."""

    models: Span = timedelta(hours=36)
    publication: Span = timedelta(hours=2)


class EventQuality(Strict):
    """Gate on the events of the last day."""

    max_rejected: Percentage = 0.01
    min_daily_share: Percentage = 0.3


class ItemQuality(Strict):
    """Gate on a catalogue import."""

    max_drop: Percentage = 0.2


class PublicationQuality(Strict):
    """Gate before a publication is switched to."""

    min_coverage: Percentage = 0.0
    max_empty_contexts: Percentage = 1.0


class Quality(Strict):
    """The gates before anything reaches the website."""

    events: EventQuality = EventQuality()
    items: ItemQuality = ItemQuality()
    publication: PublicationQuality = PublicationQuality()


class Expectation(Strict):
    """What a recommendation test demands of an answer."""

    at_least: Annotated[int, Field(ge=0, le=50)] | None = None
    never_category: str | None = None


class RecommendationTest(Strict):
    """One question and what its answer must be; run with every build and by `personalization check`."""

    scenario: str
    user: str = "nobody"
    context: list[int | str] = []
    expect: Expectation


class Website(Strict):
    """One website. `load_website` makes it; whoever holds one needs to check nothing again."""

    name: str = Field(alias="website", description="[a-z][a-z0-9-]{0,62}; prefix of the website's assets")
    customer_id: str
    license_key: SecretStr
    kind: Literal["commerce", "publisher"] = "commerce"
    time_zone: str = "UTC"
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "EUR"
    languages: list[str] = []
    item_ids: Literal["numeric", "alphanumeric"] = "numeric"
    item_types: dict[int, str] = {1: "product"}
    public_host: str | None = None
    recommendation_auth: Literal["none", "basic"] = "none"
    output_attributes: list[str] | None = None
    category_from_clicks: bool = False
    event_weights: dict[str, Annotated[float, Field(ge=0)]] = DEFAULT_WEIGHTS
    content: Content = Content()
    events: Events = Events()
    retention: Retention = Retention()
    visitor_groups: dict[int, dict[str, Any]] = {}
    segment_groups: dict[str, dict[str, Any]] = {}
    models: dict[str, AnyModel] = {}
    scenarios: dict[str, Scenario] = {}
    triggers: dict[str, dict[str, Any]] = {}
    freshness: Freshness = Freshness()
    quality: Quality = Quality()
    tests: list[RecommendationTest] = []

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        return parse_website_name(value)

    @field_validator("customer_id")
    @classmethod
    def _customer_id(cls, value: str) -> str:
        return parse_customer_id(value)

    @field_validator("license_key", mode="before")
    @classmethod
    def _license_key(cls, value: object) -> object:
        return SecretStr(value) if isinstance(value, str) else value

    @field_validator("time_zone")
    @classmethod
    def _time_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{value!r} is not a time zone; expected a name like Europe/Berlin") from None
        return value

    @field_validator("models", "scenarios")
    @classmethod
    def _names(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            parse_name(name)
        return value

    @property
    def zone(self) -> ZoneInfo:
        """The website's time zone."""
        return ZoneInfo(self.time_zone)

    @property
    def strong_event(self) -> str:
        """The event that counts most for this kind of website: buy or consume."""
        return STRONG_EVENT[self.kind]

    def item_type(self, name: str) -> int:
        """Return the id of a named item type (KeyError if the website has none of that name)."""
        return next(number for number, label in self.item_types.items() if label == name)

    def item_id(self, text: str) -> str:
        """Return an item id in this website's canonical form (InvalidIdentifier if it is none)."""
        return parse_item_id(text, alphanumeric=self.item_ids == "alphanumeric")
