"""A website's whole configuration as one frozen value (spec: website.yaml)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, field_validator, model_validator

from personalization_pipelines.content.files.formats import DOCUMENTS, format_names
from personalization_pipelines.foundation.currency import fraction_digits
from personalization_pipelines.foundation.fields import (
    DEFAULT_ROBOTS,
    CategoryPath,
    Cron,
    EventRate,
    ItemType,
    Name,
    Percentage,
    PlaceholderUsers,
    RobotPatterns,
    Span,
    Strict,
)
from personalization_pipelines.foundation.identifiers import (
    parse_customer_id,
    parse_item_id,
    parse_website_name,
)
from personalization_pipelines.models.parameters import Later, Model
from personalization_pipelines.models.registry import parameter_classes
from personalization_pipelines.website.addresses import check_address, is_address
from personalization_pipelines.website.export_hosts import ExportHostEntry
from personalization_pipelines.website.scenario_parameters import Scenario

if TYPE_CHECKING:
    AnyModel = Model
    AnyFormat = str
else:  # the types that there are when this is imported, those of other installed packages among them
    AnyModel = Annotated[Union[(*parameter_classes(), Later)], Field(discriminator="type")]
    AnyFormat = Literal[(*format_names(), *DOCUMENTS)]

DEFAULT_WEIGHTS: dict[str, float] = {"click": 1, "consume": 3, "basket": 5, "wishlist": 4, "rate": 4, "buy": 10}
STRONG_EVENT = {"commerce": "buy", "publisher": "consume"}


class Source(Strict):
    """Files that are imported on a schedule."""

    files: Annotated[str, Field(min_length=1)]
    """A path or pattern like `data/items/*.parquet`, relative to the installation's home, or `s3://bucket/*.parquet`."""
    format: AnyFormat
    """How the files are written."""
    mode: Literal["full", "incremental"] = "full"
    """`full`: what a file no longer holds goes; `incremental`: a file adds and changes."""
    mapping: str | None = None
    """A mapping file that renames foreign columns, or the name of one that ships with the package."""

    @field_validator("files")
    @classmethod
    def _files(cls, value: str) -> str:
        if is_address(value):
            check_address(value)
        return value

    @model_validator(mode="after")
    def _mapping(self) -> Source:
        if self.mapping is not None and self.format in DOCUMENTS:
            raise ValueError(f"a mapping names columns, of which {self.format} has none; leave it out")
        return self


class Content(Strict):
    """Where the catalogue comes from."""

    sources: list[Source] = []
    """Files with items."""
    export_hosts: list[ExportHostEntry] = []
    """Hosts from where a notified export may be fetched; without any, none is."""
    schedule: Cron = "0 3 * * *"
    """When the files are looked at, in the website's time zone."""


class Bots(Strict):
    """What marks an event as a robot's. Robots' events are kept, and count in no model and no statistic."""

    user_agents: RobotPatterns = (DEFAULT_ROBOTS,)
    """Robots' user agents: `default` (a well-kept list), `none`, or regular expressions, `default` among them."""
    max_events_per_minute: EventRate = 60
    """A visitor with more calls in a minute (deliveries and bought items aside) was a robot that day; or `none`."""


class Events(Strict):
    """Where events come from besides the tracker."""

    sources: list[Source] = []
    """Files with events."""
    bots: Bots = Bots()
    """What marks an event as a robot's."""


class Retention(Strict):
    """How long events stay in the lake and in the live store."""

    events: Span | None = None
    """In the lake; without it, forever."""
    live: Span = timedelta(days=35)
    """In the live store, which answers for what happened since the last build."""


class Freshness(Strict):
    """When the graph counts as late."""

    models: Span = timedelta(hours=36)
    """The age at which a model is late."""
    publication: Span = timedelta(hours=2)
    """The age at which a publication is late behind its models."""


class EventQuality(Strict):
    """Gate on the events of the last day."""

    max_rejected: Percentage = 0.01
    """At most this share of the events may be rejected."""
    min_daily_share: Percentage = 0.3
    """A day must bring at least this share of the median day's events."""


class ItemQuality(Strict):
    """Gate on a catalogue import."""

    max_drop: Percentage = 0.2
    """A full import may lose at most this share of the items."""
    max_price_jumps: Percentage = 0.1
    """At most this share of the prices may be lost, change ten times over or change their currency in one import."""
    max_attributes: Annotated[int, Field(ge=1, le=10_000)] = 200
    """So many names of attributes the catalogue may have."""
    max_values: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    """So many different values a nominal attribute may have."""


class PublicationQuality(Strict):
    """Gate before a publication is switched to."""

    min_coverage: Percentage = 0.0
    """At least this share of the catalogue must be recommended somewhere."""
    max_empty_contexts: Percentage = 1.0
    """At most this share of the context items may get no answer."""


class Quality(Strict):
    """The gates before anything reaches the website."""

    events: EventQuality = EventQuality()
    """Gate on the events of the last day."""
    items: ItemQuality = ItemQuality()
    """Gate on a catalogue import."""
    publication: PublicationQuality = PublicationQuality()
    """Gate before a publication is switched to."""


class Expectation(Strict):
    """What a recommendation test demands of an answer."""

    at_least: Annotated[int, Field(ge=0, le=50)] | None = None
    """So many items."""
    never_category: CategoryPath | None = None
    """No item of this category or below it."""


class RecommendationTest(Strict):
    """One question and what its answer must be; run with every build and by `personalization check`."""

    scenario: str
    """The scenario that is asked."""
    user: str = "nobody"
    """The user who asks."""
    context: list[int | str] = []
    """Ids of the context items, of the scenario's input type."""
    expect: Expectation
    """What the answer must be."""


class Website(Strict):
    """One website. `load_website` makes it; whoever holds one needs to check nothing again."""

    name: str = Field(alias="website")
    """[a-z][a-z0-9-]{0,62}; the file's name and the prefix of the website's assets."""
    customer_id: str
    """The id in every URL of the website; always a quoted string."""
    license_key: SecretStr
    """The password of the content and user interfaces; `${NAME}` reads the environment variable NAME."""
    kind: Literal["commerce", "publisher"] = "commerce"
    """Which event is the strong one: buy (commerce) or consume (publisher)."""
    time_zone: str = "UTC"
    """The zone of the website's days and of times sent without one, like Europe/Berlin."""
    currency: Annotated[str, Field(json_schema_extra={"pattern": "^[A-Z]{3}$"})] = "EUR"
    """ISO 4217 code of prices that come without one."""
    languages: list[Annotated[str, Field(pattern="^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$")]] = []
    """The languages of the content, like eng-GB."""
    item_ids: Literal["numeric", "alphanumeric"] = "numeric"
    """What item ids look like."""
    item_types: dict[ItemType, Name] = {1: "product"}
    """Item type ids of the wire protocol and the names that scenarios use."""
    public_host: Annotated[str, Field(pattern="^//[A-Za-z0-9.-]+(:[0-9]{1,5})?$")] | None = None
    """Host in links, like //reco.example.org; without it, the host of the request."""
    recommendation_auth: Literal["none", "basic"] = "none"
    """Whether recommendations need Basic authentication."""
    output_attributes: list[Annotated[str, Field(min_length=1)]] | None = None
    """What the open endpoint may return; without it, every nominal and text attribute."""
    placeholder_users: PlaceholderUsers = ()
    """User ids that are nobody's here, besides not_defined, undefined, null, none, NaN and [object Object]."""
    category_from_clicks: bool = False
    """Whether click events may add category paths to items: those that two visitors named."""
    event_weights: dict[str, Annotated[float, Field(ge=0, le=1000)]] = DEFAULT_WEIGHTS
    """How much an event says about a visitor's taste; an event that is not named keeps its default."""
    content: Content = Content()
    """Where the catalogue comes from."""
    events: Events = Events()
    """Where events come from besides the tracker."""
    retention: Retention = Retention()
    """How long events are kept."""
    visitor_groups: dict[int, dict[str, Any]] = {}
    """Segments that the service computes from behaviour."""
    segment_groups: dict[str, dict[str, Any]] = {}
    """Trees of AND and OR over segments."""
    models: dict[Name, AnyModel] = {}
    """The models, by name. Their order gives the `modelid` of links."""
    scenarios: dict[Name, Scenario] = {}
    """The places on the website that ask for recommendations, by name."""
    triggers: dict[str, dict[str, Any]] = {}
    """Push messages."""
    freshness: Freshness = Freshness()
    """When the graph counts as late."""
    quality: Quality = Quality()
    """The gates before anything reaches the website."""
    tests: list[RecommendationTest] = []
    """Questions whose answers are checked with every build."""

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
        if isinstance(value, str) and not value.strip():
            raise ValueError("the license key is empty")
        return SecretStr(value) if isinstance(value, str) else value

    @field_validator("time_zone")
    @classmethod
    def _time_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{value!r} is not a time zone; expected a name like Europe/Berlin") from None
        return value

    @field_validator("currency")
    @classmethod
    def _currency(cls, value: str) -> str:
        fraction_digits(value)
        return value

    @field_validator("item_types")
    @classmethod
    def _item_types(cls, value: dict[int, str]) -> dict[int, str]:
        if not value or len(set(value.values())) < len(value):
            raise ValueError("expected at least one item type, each with a name of its own")
        return value

    @field_validator("event_weights")
    @classmethod
    def _event_weights(cls, value: dict[str, float]) -> dict[str, float]:
        return {**DEFAULT_WEIGHTS, **value}

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
        for number, label in self.item_types.items():
            if label == name:
                return number
        raise KeyError(name)

    def item_id(self, text: str) -> str:
        """Return an item id in this website's canonical form (InvalidIdentifier if it is none)."""
        return parse_item_id(text, alphanumeric=self.item_ids == "alphanumeric")
