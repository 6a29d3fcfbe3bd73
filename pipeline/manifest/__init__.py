"""What people write: manifests and rows files become jobs, or problems that say where and what to do."""

from pipeline.manifest.loading import load_manifest
from pipeline.manifest.manifest import Manifest
from pipeline.manifest.profiles import known_profiles
from pipeline.manifest.schema import json_schema
from pipeline.manifest.settings import Limits, Notify

__all__ = ["Limits", "Manifest", "Notify", "json_schema", "known_profiles", "load_manifest"]
