"""Customer ids that every client can address: what `init` proposes, and what `check` says of the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from personalization_pipelines.cli import main
from personalization_pipelines.commands.check import CheckReport, check
from personalization_pipelines.foundation.home import Home
from personalization_pipelines.website import example_text, load_websites
from personalization_pipelines.website.example import free_customer_id


def test_each_init_proposes_a_customer_id_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSONALIZATION_HOME", str(tmp_path / "home"))
    for name in ("my-shop", "toys", "books", "toys"):
        assert CliRunner().invoke(main, ["init", "--website", name]).exit_code == 0
    good, broken = load_websites(Home.from_environment())
    assert ({name: one.customer_id for name, one in good.items()}, broken) == (
        {"my-shop": "1001", "toys": "1002", "books": "1003"},
        {},
    )


def test_an_id_is_taken_by_a_file_with_errors_and_by_the_same_number_with_zeros(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("customer_id: 1001\nmodells: {")
    (tmp_path / "zeros.yml").write_text("website: zeros\ncustomer_id: '001002'  # ours\n")
    (tmp_path / "words.yaml").write_bytes(b'customer_id: "shop"\n# \xff')
    assert free_customer_id(tmp_path) == "1003"
    assert free_customer_id(tmp_path / "nothing here") == "1001"


@pytest.mark.parametrize(("customer", "number"), [("00001", "1"), ("007", "7"), ("00", "0")])
def test_check_warns_about_leading_zeros_and_still_passes(tmp_path: Path, customer: str, number: str) -> None:
    report = checked(tmp_path, customer)
    assert report.passed
    assert f'⚠ customer_id "{customer}" begins with zeros' in report.lines[1]
    assert f"ask for {number} and get 404" in report.lines[1]


@pytest.mark.parametrize("customer", ["1001", "0", "0abc", "shop"])
def test_check_says_nothing_of_other_customer_ids(tmp_path: Path, customer: str) -> None:
    assert "⚠" not in "\n".join(checked(tmp_path, customer).lines)


def checked(tmp_path: Path, customer: str) -> CheckReport:
    home = Home(tmp_path)
    home.create()
    (home.websites / "my-shop.yaml").write_text(example_text(customer_id=customer))
    return check(home)
