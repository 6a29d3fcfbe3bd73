"""Input images: found, fetched, proven, stitched and made ready. Knows nothing of what is bought with them."""

from pipeline.inputs.decoding import MAX_BYTES, MAX_PIXELS, Look, read_colour
from pipeline.inputs.developing import prepared
from pipeline.inputs.faults import InputError
from pipeline.inputs.files import Found, require
from pipeline.inputs.finder import Finder, Seen
from pipeline.inputs.patience import Patience
from pipeline.inputs.stitching import canvas_of, parts_of, reduced_size
from pipeline.inputs.store import FOLDER, Store

__all__ = [
    "FOLDER",
    "MAX_BYTES",
    "MAX_PIXELS",
    "Finder",
    "Found",
    "InputError",
    "Look",
    "Patience",
    "Seen",
    "Store",
    "canvas_of",
    "parts_of",
    "prepared",
    "read_colour",
    "reduced_size",
    "require",
]
