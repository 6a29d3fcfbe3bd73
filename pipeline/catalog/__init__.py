"""Models, provider profiles and named ratios: data, and nothing of how it is used."""

from pipeline.catalog.amounts import Usd
from pipeline.catalog.models import ModelSpec, Parameters, models
from pipeline.catalog.profiles import LogKind, Profile, ProviderLog, Wire, profiles
from pipeline.catalog.uses import uses

__all__ = [
    "LogKind",
    "ModelSpec",
    "Parameters",
    "Profile",
    "ProviderLog",
    "Usd",
    "Wire",
    "models",
    "profiles",
    "uses",
]
