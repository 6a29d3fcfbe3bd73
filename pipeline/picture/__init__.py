"""A picture's file in itself: its parts, its end, and whether all of it is there. Knows nothing of whose it is."""

from pipeline.picture.anatomy import MAX_PARTS, MAX_SCANS, Outline, PictureFormat, TooManyPartsError, outline
from pipeline.picture.strict import decodes_whole
from pipeline.picture.torn import JPEG_END, has_all_pixels

__all__ = [
    "JPEG_END",
    "MAX_PARTS",
    "MAX_SCANS",
    "Outline",
    "PictureFormat",
    "TooManyPartsError",
    "decodes_whole",
    "has_all_pixels",
    "outline",
]
