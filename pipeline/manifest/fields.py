"""The only module that knows how one written value becomes a field: text as written, exact numbers, nothing guessed."""

import re
from decimal import Decimal
from ipaddress import ip_address
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from pipeline.bucket import parse_address
from pipeline.catalog import Usd as CatalogUsd
from pipeline.catalog import models, profiles, uses
from pipeline.inputs import read_colour
from pipeline.manifest.scalars import Plain

#: Numbers beyond ten to this power are nobody's intention, and exact arithmetic on them never ends.
_MAX_MAGNITUDE = 30
#: Hosts on private addresses that one provider serves pictures from.
MAX_HOSTS = 100
#: More wrong items of one list are told as one.
_MAX_WRONG = 100
#: How a profile may be called.
PROFILE_NAME = r"^[a-z0-9][a-z0-9_.-]{0,39}$"
#: Images of one job; the most that any model of this family takes at once.
MAX_IMAGES = 8
_PLACEHOLDER = r"\{[^{}]+\}"


def _wrong(message: str, hint: str = "") -> PydanticCustomError:
    return PydanticCustomError("written", "{message}", {"message": message, "hint": hint})


def read_text(value: Any) -> str:
    """Take any single value as the text that was written: ``1.10`` stays ``1.10``, ``no`` stays ``no``.

    Raises:
        PydanticCustomError: It is empty, a list or a mapping.
    """
    if not isinstance(value, str):
        raise _wrong("must be a text", "put text that starts with '[' or '{' in quotes")
    if isinstance(value, Plain) and value.is_null:
        raise _wrong("has no value", "remove the key, or put the text in quotes")
    return str(value)


def read_number(value: Any) -> Any:
    """Take an unquoted number as an int or a Decimal; anything else as it is, for the field to refuse."""
    if not isinstance(value, Plain):
        return value
    if value.is_null:
        raise _wrong("has no value", "remove the key, or give it one")
    resolved = value.value
    if isinstance(resolved, Decimal) and not (resolved.is_finite() and abs(resolved.adjusted()) <= _MAX_MAGNITUDE):
        raise _wrong("must be an ordinary number")
    return resolved


def _read_whole(value: Any) -> int:
    number = read_number(value)
    if type(number) is not int:
        raise _wrong("must be a whole number", "without quotes" if isinstance(value, str) else "")
    return number


def _read_seconds(value: Any) -> float:
    number = read_number(value)
    if type(number) is not int and not isinstance(number, Decimal):
        raise _wrong("must be a number of seconds, such as 600")
    return float(number)


def _read_decimal(value: Any) -> Decimal:
    number = read_number(value)
    if type(number) is not int and not isinstance(number, Decimal):
        raise _wrong("must be a number, such as 1.15")
    return Decimal(number)


def _read_usd(value: Any) -> Any:
    # A quoted amount is as exact as an unquoted one, and goes through the same bounds.
    number = read_number(Plain(value)) if isinstance(value, str) else value
    if type(number) is not int and not isinstance(number, Decimal):
        raise _wrong("must be an amount in US dollars, such as 5.00")
    return number


def _read_price(value: Any) -> Any:
    amount = _read_usd(value)
    if amount == 0:
        raise _wrong("must be more than 0", "no budget would hold what costs nothing")
    return amount


def _read_whole_or_template(value: Any) -> int | str:
    return str(value) if _is_template(value) else _read_whole(value)


def _read_switch_or_template(value: Any) -> bool | str:
    return str(value) if _is_template(value) else _read_switch(value)


def _read_switch(value: Any) -> bool:
    resolved = read_number(value)
    if not isinstance(resolved, bool):
        raise _wrong("must be true or false", "without quotes")
    return resolved


def _is_template(value: Any) -> bool:
    return isinstance(value, str) and "{" in value


def _read_list(value: Any) -> Any:
    if isinstance(value, str):
        raise _wrong("must be a list", "write it in brackets: [one, two]")
    if isinstance(value, list) and sum(not isinstance(item, str) for item in value) > _MAX_WRONG:
        raise _wrong("must be a list of texts", "put texts that start with '[' or '{' in quotes")
    return value


def read_hosts(value: Any) -> Any:
    """Take a list of hosts, for each of them to be read.

    Raises:
        PydanticCustomError: There are more than 100.
    """
    if isinstance(value, list) and len(value) > MAX_HOSTS:
        raise _wrong(f"must have at most {MAX_HOSTS} items", "list only the hosts that downloads need")
    return value


def _words(*choices: str, example: str = "{column}") -> dict[str, Any]:
    """A schema of fixed words, or a text with a placeholder; editors offer the words."""
    return {"anyOf": [{"enum": list(choices)}, {"type": "string", "pattern": _PLACEHOLDER}], "examples": [example]}


_TEXT_SCHEMA: Final = {"type": ["string", "number", "boolean"]}
_RATIO_PATTERN = r"^\s*\d+(\.\d+)?:\d+(\.\d+)?\s*$"

Text = Annotated[str, BeforeValidator(read_text), WithJsonSchema(_TEXT_SCHEMA)]
Texts = Annotated[
    tuple[Text, ...],
    BeforeValidator(_read_list),
    Field(strict=False, min_length=1),
    WithJsonSchema({"type": "array", "minItems": 1, "items": _TEXT_SCHEMA}),
]
Images = Annotated[
    tuple[Text, ...],
    BeforeValidator(_read_list),
    Field(strict=False, min_length=1, max_length=MAX_IMAGES),
    WithJsonSchema({"type": "array", "minItems": 1, "maxItems": MAX_IMAGES, "items": {"type": "string"}}),
]
Model = Annotated[str, BeforeValidator(read_text), WithJsonSchema(_words(*models()))]
Use = Annotated[str, BeforeValidator(read_text), WithJsonSchema(_words(*uses()))]
Format = Annotated[str, BeforeValidator(read_text), WithJsonSchema(_words("jpeg", "png"))]
RatioText = Annotated[
    str,
    BeforeValidator(read_text),
    WithJsonSchema({"type": "string", "pattern": f"{_RATIO_PATTERN}|{_PLACEHOLDER}", "examples": ["16:9", "1.91:1"]}),
]
ProfileName = Annotated[
    str,
    BeforeValidator(read_text),
    WithJsonSchema({"anyOf": [{"enum": list(profiles())}, {"type": "string", "pattern": PROFILE_NAME}]}),
]
Whole = Annotated[int, BeforeValidator(_read_whole)]
WholeOrTemplate = Annotated[
    int | str,
    BeforeValidator(_read_whole_or_template),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": _PLACEHOLDER}]}),
]
Switch = Annotated[bool, BeforeValidator(_read_switch)]
SwitchOrTemplate = Annotated[
    bool | str,
    BeforeValidator(_read_switch_or_template),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": _PLACEHOLDER}]}),
]
Seconds = Annotated[float, BeforeValidator(_read_seconds)]
Factor = Annotated[Decimal, BeforeValidator(_read_decimal), WithJsonSchema({"type": "number"})]
Usd = Annotated[CatalogUsd, BeforeValidator(_read_usd)]
Price = Annotated[CatalogUsd, BeforeValidator(_read_price)]


def read_version(value: Any) -> int:
    """Take the format's version.

    Raises:
        PydanticCustomError: It is not 1.
    """
    if read_number(value) != 1:
        raise _wrong("must be 1", "this program reads version 1 of the format")
    return 1


def read_env_name(value: Any) -> str:
    """Take the name of an environment variable; what is refused is never shown, since it may be the key itself.

    Raises:
        PydanticCustomError: It is no such name.
    """
    text = read_text(value)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", text):
        raise _wrong("must be the name of an environment variable", "such as FLUXBATCH_API_KEY; never the key itself")
    return text


def read_base_url(value: Any) -> str:
    """Take an address up to and with its version, such as ``https://api.example.com/v1``; a last ``/`` is dropped.

    Raises:
        PydanticCustomError: It is no http or https address, carries a password, a query or a fragment, or would send
            the key in the clear.
    """
    text = read_text(value).rstrip("/")
    match = re.fullmatch(r"(https?)://([^\s/?#@\\]{1,255})(/[^\s?#@\\]{0,1000})?", text)
    if match is None or not text.isprintable():
        raise _wrong("must be an address such as https://api.example.com/v1", "without a user, a query or a fragment")
    if match[1] == "http" and not _is_here(match[2]):
        raise _wrong("would send the key in the clear", "write https://")
    return text


def read_store(value: Any) -> str:
    """Take a bucket, such as ``s3://bucket/prefix``; what holds a password is not shown.

    Raises:
        PydanticCustomError: It is none.
    """
    text = read_text(value)
    try:
        return str(parse_address(text))
    except ValueError as exc:
        raise _wrong(str(exc), "such as s3://pictures/spring; keys come from the environment") from None


def read_endpoint(value: Any) -> str:
    """Take a server's address, such as ``https://minio.example.com:9000``; a last ``/`` is dropped.

    Raises:
        PydanticCustomError: It is no http or https address, or carries a password, a query or a fragment.
    """
    text = read_text(value).rstrip("/")
    if not (re.fullmatch(r"https?://[^\s/?#@\\]{1,255}(/[^\s?#@\\]{0,1000})?", text) and text.isprintable()):
        raise _wrong("must be a server such as https://s3.example.com", "without a user, a query or a fragment")
    return text


def read_webhook(value: Any) -> str:
    """Take a webhook's address; what is refused is never shown, since such an address may be a secret by itself.

    Raises:
        PydanticCustomError: It is no https address (or http on this machine), or carries a password.
    """
    text = read_text(value)
    if not re.fullmatch(r"(https://[^\s/?#@\\]+|http://(127\.0\.0\.1|\[::1\]|localhost)(:\d+)?)([/?][^\s#]*)?", text):
        raise _wrong("must be an address such as https://hooks.example.com/T0", "https, without a user or a fragment")
    return text


def read_path(value: Any) -> str:
    """Take a path below an address's host, such as ``/api/log/self``.

    Raises:
        PydanticCustomError: It does not begin with ``/``, or has a query, a fragment or blanks.
    """
    text = read_text(value)
    if not (re.fullmatch(r"/[^\s?#\\]{0,1000}", text) and text.isprintable()):
        raise _wrong("must be a path such as /api/log/self", "without a host, a query or a fragment")
    return text


def _is_here(authority: str) -> bool:
    """Whether it is this machine's loopback: the one place where plain http is for."""
    host = re.sub(r":\d*$", "", authority).strip("[]").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def read_host(value: Any) -> str:
    """Take ``host`` or ``host:port``, in lower case.

    Raises:
        PydanticCustomError: It is something else, such as an address with a path.
    """
    text = read_text(value).lower()
    match = re.fullmatch(r"(\[[0-9a-f:.]+\]|[^\s/:@\[\]?#\\*]{1,255})(:\d{1,5})?", text)
    if match is None or not text.isprintable():
        raise _wrong("must be a host, or host:port, such as images.example.com", "without wildcards; list each host")
    return text


def read_stitch_height(value: Any) -> Any:
    """Take what stitched images have in common: ``min``, ``max``, or a number of pixels.

    Raises:
        PydanticCustomError: It is something else.
    """
    if isinstance(value, str) and value.strip() in {"min", "max"}:
        return value.strip()
    number = read_number(value)
    if type(number) is not int or not 16 <= number <= 8_192:
        raise _wrong("must be min, max, or pixels from 16 to 8192")
    return number


def read_background(value: Any) -> str:
    """Take a colour by its name or as ``#rrggbb``, as ``#rrggbb``.

    Raises:
        PydanticCustomError: It is none.
    """
    try:
        return read_colour(read_text(value)[:60])
    except ValueError:
        raise _wrong("must be a colour such as white or '#ffffff'", "quote what begins with #") from None
