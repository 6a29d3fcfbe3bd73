"""What the provider speaks: the request, the answer, and every way it refuses, with what happened to the money."""

from pipeline.provider.answers import picture_in
from pipeline.provider.billing import Billed, BillingLog
from pipeline.provider.client import Answer, ImagesClient, Poster
from pipeline.provider.deadlines import lives_until
from pipeline.provider.errors import (
    AccountRefusedError,
    AnswerLostError,
    BadKeyError,
    EmptyAccountError,
    ModelRefusedError,
    Money,
    OverloadedError,
    ProviderError,
    RefusedError,
    StillPendingError,
    ThrottledError,
    UnreachableError,
)
from pipeline.provider.requests import request_body
from pipeline.provider.tasks import TaskClient, Ticket
from pipeline.provider.waits import Allowance

__all__ = [
    "AccountRefusedError",
    "Allowance",
    "Answer",
    "AnswerLostError",
    "BadKeyError",
    "Billed",
    "BillingLog",
    "EmptyAccountError",
    "ImagesClient",
    "ModelRefusedError",
    "Money",
    "OverloadedError",
    "Poster",
    "ProviderError",
    "RefusedError",
    "StillPendingError",
    "TaskClient",
    "ThrottledError",
    "Ticket",
    "UnreachableError",
    "lives_until",
    "picture_in",
    "request_body",
]
