"""Amounts of money where people write them: a string, a whole number or a decimal of dollars; micro-dollars inside."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from pipeline.money import parse_usd


def _to_microusd(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal | float):
        raise ValueError("write an amount in dollars, such as 5.00")
    # A YAML float has gone through binary already; repr() gives back the digits that were written.
    return parse_usd(repr(value) if isinstance(value, float) else value)


#: Micro-dollars, from an amount of dollars; raises what ``parse_usd`` raises.
Usd = Annotated[
    int,
    BeforeValidator(_to_microusd, json_schema_input_type=Annotated[float, Field(ge=0, le=1_000_000_000)] | str),
]
