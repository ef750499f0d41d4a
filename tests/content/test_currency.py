"""Amounts become whole numbers of the currency's smallest unit, exactly."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization_pipelines.foundation.currency import FRACTION_DIGITS, MAX_MINOR, fraction_digits, to_minor
from personalization_pipelines.foundation.errors import InvalidIdentifier


@pytest.mark.parametrize(
    ("amount", "code", "minor"),
    [
        ("12.45", "EUR", 1245),
        ("456", "JPY", 456),
        ("1.234", "KWD", 1234),
        (2.55, "GBP", 255),
        (1.005, "EUR", 100),
        (1.015, "EUR", 102),
        ("34.333333333333333333333333333333", "EUR", 3433),
        ("0.00500000000000000000000000000000000001", "EUR", 1),
        (0, "EUR", 0),
        (Decimal("0.005"), "USD", 0),
        (1e-30, "EUR", 0),
    ],
)
def test_an_amount_is_scaled_by_its_currencys_digits(amount: str | float | Decimal, code: str, minor: int) -> None:
    assert to_minor(amount, code) == minor


@pytest.mark.parametrize("amount", ["", "x", "NaN", "inf", "-1", "1e400", "99999999999999999999", float("nan"), "1,5"])
def test_what_is_no_amount_is_refused_with_a_sentence(amount: str | float) -> None:
    with pytest.raises(ValueError, match="expected a number"):
        to_minor(amount, "EUR")


@pytest.mark.parametrize("code", ["", "eur", "EURO", "XXX", "€", "E" * 1000])
def test_what_is_no_currency_is_refused_with_a_sentence(code: str) -> None:
    with pytest.raises(InvalidIdentifier, match="ISO 4217"):
        fraction_digits(code)


@given(st.integers(0, MAX_MINOR), st.sampled_from(sorted(FRACTION_DIGITS)))
def test_every_amount_survives_its_decimal_text(minor: int, code: str) -> None:
    assert to_minor(str(Decimal(minor).scaleb(-fraction_digits(code))), code) == minor
