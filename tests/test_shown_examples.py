"""The documents that pages of docs/ show are what the service takes: each is given to what reads it."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from pathlib import Path

import yaml

from personalization_pipelines.content.exports.notification import read_notification
from personalization_pipelines.content.files.mapping import load_mapping
from personalization_pipelines.content.xml.xml_items import read_xml_items
from personalization_pipelines.content.xml.xml_transfers import read_xml_transfers
from personalization_pipelines.content.xml.xml_users import read_xml_users
from personalization_pipelines.events.judging.batch import Batch, judge_batch
from personalization_pipelines.website import Website
from tests.conftest import make_website
from tests.made_documents import DOCS

NOW = int(datetime(2026, 11, 28, tzinfo=UTC).timestamp()) * 1_000_000
KEY = bytes(32)


def shown(page: str, language: str, first: str) -> str:
    """Return the one block of a page that begins so."""
    text = (DOCS / f"{page}.md").read_text()
    blocks = re.findall(rf"^```{language}\n({re.escape(first)}.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1, f"{page} has {len(blocks)} blocks of {language} that begin with {first}"
    return str(blocks[0])


def taking() -> Website:
    return make_website(
        item_types={1: "product", 2: "article"},
        content={"export_hosts": ["cms.example.org"]},
        models={},
        scenarios={},
    )


def test_the_document_of_items_is_one() -> None:
    (item,) = read_xml_items(io.BytesIO(shown("content", "xml", "<items").encode()), taking())
    assert (item.item, item.base_item, item.price_minor, item.currency) == ("102", "100", 1245, "EUR")


def test_the_document_of_transfers_is_one() -> None:
    # it shows both ways to write an item, with a remark on each line
    found = read_xml_transfers(io.BytesIO(shown("content", "xml", "<transfers").encode()), taking())
    assert list(map(str, found)) == ["1/102 to 1/4711", "1/103 to 2/9"]


def test_the_document_of_users_is_one() -> None:
    (user,) = read_xml_users(io.BytesIO(shown("users-and-privacy", "xml", "<users").encode()), taking())
    assert (user.user, user.types["born"]) == ("ann", "DATE")


def test_the_notification_is_one() -> None:
    notified = read_notification(shown("content", "json", '{"transaction"').encode(), taking())
    assert [one.kind for one in notified] == ["export_full", "export_update", "delete_item"]


def test_the_batch_of_events_is_one() -> None:
    batch = judge_batch(shown("tracking", "json", "[{").encode(), taking(), NOW, KEY)
    assert isinstance(batch, Batch) and batch.counts == {"buy": 1}


def test_the_mapping_is_one(tmp_path: Path) -> None:
    (tmp_path / "invoices.yml").write_text(shown("content", "yaml", "kind: events"))
    assert load_mapping("events", tmp_path / "invoices.yml").rules.constants == {"event": "buy", "currency": "GBP"}


def test_the_entries_of_export_hosts_are_such() -> None:
    text = (DOCS / "content.md").read_text()
    table = text.partition("| `content.export_hosts` has |")[2].partition("\n\n")[0]
    entries = [entry for row in table.splitlines()[2:] for entry in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
    assert len(entries) >= 6
    for entry in entries:
        assert make_website(content={"export_hosts": [entry]}).content.export_hosts


def test_the_recommendation_test_that_is_shown_is_one() -> None:
    (asked,) = yaml.safe_load(shown("scenarios", "yaml", "tests:"))["tests"]
    assert make_website(tests=[asked]).tests[0].expect.never_category == "/Alcohol"
