"""The only module that knows editions: the word that lets the same manifest buy new pictures each day or week."""

from datetime import datetime

from pipeline.manifest.template import compile_template

#: The words an edition may hold in braces.
WORDS = ("date", "year", "month", "week", "hour", "name")


def render_edition(text: str, *, name: str, now: datetime) -> str:
    """Fill an edition's placeholders.

    Args:
        text: As written, such as ``{date}``.
        name: The manifest's name.
        now: The local time that the dates are taken from.

    Raises:
        UnfitError: Placeholders it does not have, or braces that hold none.
    """
    template = compile_template("edition", text, known=WORDS)
    template.check("edition", WORDS)
    year, week, _ = now.isocalendar()
    return template.fill(
        {
            "date": f"{now:%Y-%m-%d}",
            "year": f"{now:%Y}",
            "month": f"{now:%Y-%m}",
            "week": f"{year:04}-W{week:02}",
            "hour": f"{now:%Y-%m-%dT%H}",
            "name": name,
        }
    )
