"""How a number of things is said."""


def counted(number: int, one: str, many: str = "") -> str:
    """A number and what it counts, such as ``1 row`` and ``1,200 rows``.

    Args:
        many: The word for several, where it is not the one with an ``s``.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


__all__ = ["counted"]
