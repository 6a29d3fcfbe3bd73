"""When, said to systemd: cron's fields as an ``OnCalendar`` expression."""

import re

from pipeline.errors import UsageError

_SPECIALS = {"hourly", "daily", "weekly", "monthly", "yearly"}
_ALIASES = {"midnight": "daily", "annually": "yearly"}
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
#: Of minute, hour, day of the month, month and day of the week.
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def on_calendar(at: str) -> str:
    """Say a cron schedule as systemd does.

    Raises:
        UsageError: systemd cannot say it: at boot, or by the day of the month and of the week at once.
    """
    text = at.strip().lower()
    if text.startswith("@"):
        word = _ALIASES.get(text[1:], text[1:])
        if word not in _SPECIALS:
            raise UsageError(f"--at {at}: a timer has no such time", remedy='such as --at "0 2 * * *"')
        return word
    minute, hour, day, month, weekday = (
        _numbers(field, *bounds) for field, bounds in zip(text.split(), _BOUNDS, strict=True)
    )
    if day is not None and weekday is not None:
        raise UsageError(
            f"--at {at}: cron means either of the two days, which a timer cannot say",
            remedy="leave the day of the month or of the week as *, or use cron",
        )
    names = "" if weekday is None else ",".join(_DAYS[number].capitalize() for number in _week(weekday)) + " "
    return f"{names}*-{_listed(month)}-{_listed(day)} {_listed(hour)}:{_listed(minute)}:00"


def _week(days: list[int]) -> list[int]:
    """From Monday on, with one Sunday."""
    return sorted({day % 7 for day in days}, key=lambda day: (day - 1) % 7)


def _listed(numbers: list[int] | None) -> str:
    return "*" if numbers is None else ",".join(f"{number:02}" for number in numbers)


def _numbers(field: str, low: int, high: int) -> list[int] | None:
    """The numbers a field stands for; None for all."""
    if field == "*":
        return None
    found: set[int] = set()
    for part in field.split(","):
        match = re.fullmatch(r"(\*|\w+)(?:-(\w+))?(?:/(\d+))?", part)
        if match is None:
            raise UsageError(f"--at: {part!r} is nothing a timer can say", remedy="use numbers, or cron")
        first, last, step = match.groups()
        begin = low if first == "*" else _number(first)
        end = _number(last) if last else high if first == "*" or step else begin
        found |= set(range(begin, end + 1, int(step or 1)))
    return sorted(found)


def _number(word: str) -> int:
    for names, first in ((_DAYS, 0), (_MONTHS, 1)):
        if word[:3] in names:
            return names.index(word[:3]) + first
    if not word.isdecimal():
        raise UsageError(f"--at: {word!r} is nothing a timer can say", remedy="use numbers, or cron")
    return int(word)
