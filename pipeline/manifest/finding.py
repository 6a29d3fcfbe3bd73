"""The only module that gives edits the digests of their inputs: looks at them, some rows at a time."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice

from pipeline.inputs import Finder, Found, InputError, Seen, canvas_of, parts_of
from pipeline.job import PictureRequest
from pipeline.manifest.entries import Misfit, Outcome, Wanted
from pipeline.ratio import NARROWEST, WIDEST, Ratio

#: Rows whose inputs are looked at together, so that URLs are fetched side by side.
_TOGETHER = 32


def found(outcomes: Iterator[Outcome], finder: Finder) -> Iterator[Outcome]:
    """The same outcomes; those with images have their digests, or are misfits. Others are passed on as they come."""
    for outcome in outcomes:
        if isinstance(outcome, Misfit) or not outcome.images:
            yield outcome
            continue
        chunk = [outcome, *islice(outcomes, _TOGETHER - 1)]
        seen = finder.find([image for each in chunk if isinstance(each, Wanted) for image in each.images])
        for each in chunk:
            yield _looked_at(each, seen) if isinstance(each, Wanted) and each.images else each


def _looked_at(wanted: Wanted, seen: Mapping[str, Seen | None]) -> Outcome:
    digests, sizes = [], []
    for image in wanted.images:
        look = seen[image]
        if isinstance(look, InputError):
            raw = [wanted.request.identity(), list(wanted.images)]
            return Misfit(raw, wanted.source, f"images: {look.message}", each=True)
        digests.append(look.sha256 if look is not None else hashlib.sha256(image.encode()).hexdigest())
        if isinstance(look, Found):
            sizes.append((look.look.width, look.look.height))
    request = replace(wanted.request, inputs=tuple(digests))
    try:
        follows = _shape(request, sizes) if len(sizes) == len(digests) else None
    except InputError as error:
        return Misfit([request.identity()], wanted.source, f"images: {error.message}", each=True)
    return replace(wanted, request=request, follows=follows)


def _shape(request: PictureRequest, sizes: list[tuple[int, int]]) -> Ratio | None:
    """What a picture without a ratio follows: the stitched input, or the first."""
    width, height = sizes[0]
    if request.stitch is not None:
        width, height = canvas_of(parts_of(sizes, request.stitch), request.stitch)
    shape = Ratio(width, height)
    return shape if NARROWEST <= shape.value <= WIDEST else None
