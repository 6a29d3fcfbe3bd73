"""Why an input image will not do: one job's trouble, never the run's."""


class InputError(Exception):
    """An input image cannot be used. Nothing was asked for and nothing billed.

    Attributes:
        kind: ``input_missing``, ``input_unfit``, ``input_changed``, ``input_unreachable`` or ``input_forbidden``.
        message: One line, without a URL's query.
        passing: Whether it may be otherwise at the next run, by itself.
    """

    def __init__(self, kind: str, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.passing = passing
