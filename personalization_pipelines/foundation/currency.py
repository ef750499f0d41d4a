"""Money as whole numbers: how many fraction digits a currency has (ISO 4217) and amounts in its smallest unit.

Nothing downstream computes with floats: 12.45 EUR is 1245, 456 JPY is 456, 1.234 KWD is 1234.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from personalization_pipelines.foundation.errors import InvalidIdentifier

MAX_MINOR = 2**53 - 1
"""The largest amount stored: exact in every reader, also in those that hold numbers as doubles."""

# ISO 4217, list one (active codes and funds), without the codes that have no fraction ("N.A.": metals, test codes).
_CODES = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
CNY COP COU CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HRK HTG HUF
IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV
MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD
SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG ZWL
""",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
FRACTION_DIGITS: dict[str, int] = {code: digits for digits, codes in _CODES.items() for code in codes.split()}


def fraction_digits(code: str) -> int:
    """Return how many digits follow the point in a currency: 2 for EUR, 0 for JPY, 3 for KWD.

    Raises InvalidIdentifier (a ValueError) for anything but an upper-case ISO 4217 code.
    """
    try:
        return FRACTION_DIGITS[code]
    except KeyError:
        raise InvalidIdentifier(f"currency {code[:40]!r}: expected an ISO 4217 code like EUR") from None


def to_minor(amount: str | int | float | Decimal, code: str) -> int:
    """Return an amount in the currency's smallest unit, half a unit rounded to even: ("12.45", "EUR") is 1245.

    A float counts as its shortest decimal text, so 1.005 is 1.005 and not a bit less. Raises ValueError
    (InvalidIdentifier for the code) where the amount is no finite number from 0 to 2^53 - 1 units.
    """
    scale = fraction_digits(code)
    text = str(amount)
    try:
        number = Decimal(text if text.isascii() and "_" not in text else "NaN")
        if number.is_finite() and number >= 0 and number.adjusted() <= 16:
            minor = int(number.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_EVEN).scaleb(scale))
            if minor <= MAX_MINOR:
                return minor
    except InvalidOperation:
        pass
    raise ValueError(f"amount {text[:40]!r}: expected a number from 0 to {MAX_MINOR} {code} units") from None
