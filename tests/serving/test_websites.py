"""Configuration and publications change under a running server; what is broken is said once and changes nothing."""

from __future__ import annotations

import logging

import pytest

from personalization_pipelines.foundation.home import Home
from serving.websites import Websites
from tests.serving.shopfront import Installation, website, write_yaml


def test_yaml_changes_are_picked_up_and_a_broken_file_keeps_the_website_as_it_was(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    websites = Websites(home, look_every=0.0)
    assert websites.by_customer("00001") is None
    path = write_yaml(home)
    served = websites.by_customer("00001")
    assert served is not None
    assert (served.website.name, served.publication, served.problem) == ("shop", None, "nothing is published yet")
    write_yaml(home, output_attributes=["title"])
    served = websites.by_customer("00001")
    assert served is not None
    assert served.website.output_attributes == ["title"]
    path.write_text("website: shop\nnonsense: [")
    with caplog.at_level(logging.ERROR):
        for _ in range(5):
            assert websites.by_customer("00001") is not None
    assert len(caplog.records) == 1
    assert "shop.yaml" in caplog.text
    write_yaml(home, customer_id="00002")
    assert websites.by_customer("00001") is None
    assert websites.by_customer("00002") is not None
    assert websites.problems == {}
    path.unlink()
    assert websites.by_customer("00002") is None


def test_a_broken_publication_is_logged_once_and_the_one_before_stays(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Installation(home, website())
    websites = Websites(home, load=lambda home: ({"shop": website()}, {}), look_every=0.0)
    first = websites.by_customer("00001")
    assert first is not None
    assert first.publication is not None
    shop.publish(website(), 2)
    second = websites.by_customer("00001")
    assert second is not None
    assert second.publication is not first.publication
    (home.publications("shop") / "CURRENT").write_text("../../etc\n")
    with caplog.at_level(logging.ERROR):
        for _ in range(5):
            third = websites.by_customer("00001")
            assert third is not None
            assert third.publication is second.publication
    assert len(caplog.records) == 1
    shop.close()


def test_files_are_looked_at_once_in_a_while(home: Home) -> None:
    calls = []

    def load(home: Home) -> tuple[dict[str, object], dict[str, object]]:
        calls.append(1)
        return {"shop": website()}, {}

    websites = Websites(home, load=load, look_every=60.0)  # type: ignore[arg-type]
    for number in range(3):
        write_yaml(home, license_key=f"key-{number}-0000-0000")
        assert websites.by_customer("00001") is not None
    assert len(calls) == 1
