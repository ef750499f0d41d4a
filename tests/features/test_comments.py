"""What Dagit says of a feature table: the SQL file's comment once, as prose, then the SQL."""

from __future__ import annotations

import pytest

from personalization_pipelines.features.assets import build_assets
from personalization_pipelines.features.comments import described
from personalization_pipelines.features.sql_models import feature_names, feature_sql
from personalization_pipelines.website import Website


def test_the_comment_is_a_paragraph_and_the_sql_follows_without_it() -> None:
    sql = "-- What is\n-- there. In two\n-- lines. Yes.\nselect 1 -- one\n\n-- all\nfrom x\n"
    wanted = "What is there.\n\nIn two lines. Yes.\n\n```sql\nselect 1 -- one\n\n-- all\nfrom x\n```"
    assert described(sql) == wanted
    assert described("select 1") == "```sql\nselect 1\n```"


@pytest.mark.parametrize("name", feature_names())
def test_every_table_is_described_by_a_sentence(name: str) -> None:
    text = described(feature_sql(name))
    first = text.partition(".")[0]
    assert text[0].isupper() and text.count(first) == 1 and "```sql\n--" not in text


def test_the_graph_shows_it(shop: Website) -> None:
    for made in build_assets(shop):
        (description,) = made.descriptions_by_key.values()
        assert description == described(feature_sql(made.key.path[-1]))
