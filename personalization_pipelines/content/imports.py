"""The three imports: catalogue, historical events, user attributes."""

from personalization_pipelines.content.import_events import import_events
from personalization_pipelines.content.items import import_items
from personalization_pipelines.content.users import import_users

__all__ = ["import_events", "import_items", "import_users"]
