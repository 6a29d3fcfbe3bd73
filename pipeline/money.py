"""The only module that turns prices into text and back: money is an integer of micro-dollars everywhere else.

One micro-dollar is a millionth of a US dollar, so the cheapest picture (0.01 USD) is 10,000 of them and sums are exact.
"""

from decimal import Decimal, InvalidOperation

MICRO_PER_USD = 1_000_000
#: The largest amount accepted from people: a billion dollars, far below what SQLite's 64-bit integers hold.
MAX_MICROUSD = 1_000_000_000 * MICRO_PER_USD

_ONE_MICROUSD = Decimal("0.000001")


def parse_usd(text: str | Decimal | int) -> int:
    """Turn an amount in US dollars into micro-dollars.

    Args:
        text: An amount such as ``"0.035"``, from 0 to 1,000,000,000, with at most six decimals. Floats are not
            taken: ``0.035`` has no exact binary form.

    Raises:
        ValueError: The text is not such an amount.
    """
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not an amount in dollars, such as 5.00") from None
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"{text} is not an amount in dollars, such as 5.00")
    if amount > MAX_MICROUSD // MICRO_PER_USD:
        raise ValueError(f"{text} is more than a billion dollars")
    # Rounded, then compared: arithmetic keeps 28 digits and would round what is finer, while comparison is exact.
    rounded = amount.quantize(_ONE_MICROUSD)
    if rounded != amount:
        raise ValueError(f"{text} is finer than a millionth of a dollar")
    return int(rounded * MICRO_PER_USD)


def format_usd(microusd: int, *, places: int = 3) -> str:
    """Write micro-dollars as dollars, with at least ``places`` decimals and as many more as exactness needs."""
    sign = "-" if microusd < 0 else ""
    dollars, fraction = divmod(abs(microusd), MICRO_PER_USD)
    digits = f"{fraction:06d}"
    kept = max(places, len(digits.rstrip("0")))
    return f"{sign}{dollars}.{digits[:kept]}" if kept else f"{sign}{dollars}"


def saving_percent(cost: int, official: int) -> float:
    """How much less than the official price, in per cent with one decimal; 0 when nothing is bought."""
    return round(100 * (official - cost) / official, 1) if official else 0.0
