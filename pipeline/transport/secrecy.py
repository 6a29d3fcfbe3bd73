"""What a secret must look like to travel in a header, and how it is kept out of what comes back."""

from pipeline.errors import ConfigurationError

#: A shorter secret is too likely to be found in an answer by chance to be blotted out of it.
_MIN_SECRET_BYTES = 8


def usable_secret(text: str, name: str) -> str:
    """A secret without the blanks around it; "" for none.

    Args:
        text: As it was given.
        name: What it is called in a message, which never shows it.

    Raises:
        ConfigurationError: It has characters that no secret has, such as an end of line.
    """
    secret = text.strip()
    if not (secret.isascii() and secret.isprintable() and " " not in secret):
        raise ConfigurationError(f"the {name} has characters that no key has", remedy="copy it again")
    return secret


def blot(body: bytes, secret: str) -> bytes:
    """Blot a secret out of an answer: errors like to repeat the key they refuse, and bodies end up in messages."""
    hidden = secret.encode()
    return body.replace(hidden, b"[key]") if len(hidden) >= _MIN_SECRET_BYTES else body
