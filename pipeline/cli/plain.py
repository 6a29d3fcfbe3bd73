"""The only module that knows what may reach a terminal: no name or message may move its cursor or forge a line."""


def plain(text: str) -> str:
    """A text in which all that is unprintable, but for line breaks, stands as Python would write it."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character == "\n" else repr(character)[1:-1] for character in text
    )
