"""Models, provider profiles and named ratios: data, and nothing of how it is used."""

from pipeline.catalog.amounts import Usd
from pipeline.catalog.models import ModelSpec, Parameters, models
from pipeline.catalog.profiles import (
    Answers,
    Api,
    EditRoute,
    LogKind,
    Meaning,
    Profile,
    ProviderLog,
    Sizes,
    Wire,
    profiles,
    reason_to_avoid,
)
from pipeline.catalog.uses import uses

__all__ = [
    "Answers",
    "Api",
    "EditRoute",
    "LogKind",
    "Meaning",
    "ModelSpec",
    "Parameters",
    "Profile",
    "ProviderLog",
    "Sizes",
    "Usd",
    "Wire",
    "models",
    "profiles",
    "reason_to_avoid",
    "uses",
]
