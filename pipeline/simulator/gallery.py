"""The pictures that can be downloaded: their recipes, for as long as their links live."""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.simulator.drawing import Recipe
from pipeline.simulator.faults import Marker
from pipeline.simulator.links import LinkSigner

#: Above this the oldest are dropped although alive, so that memory stays bounded.
_CAPACITY = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """One picture on offer.

    Attributes:
        content_type: What it is served as.
        markers: The faults its prompt asks for.
    """

    recipe: Recipe
    content_type: str
    markers: tuple[Marker, ...]


class Gallery:
    """Keeps recipes by an id that nobody can guess, and forgets those whose links are dead."""

    def __init__(
        self, signer: LinkSigner, *, window_s: float, wall: Callable[[], float], capacity: int = _CAPACITY
    ) -> None:
        self._signer = signer
        self._window_s = window_s
        self._wall = wall
        self._capacity = capacity
        self._exhibits: OrderedDict[str, tuple[float, Exhibit]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._exhibits)

    def hang(self, exhibit: Exhibit) -> str:
        """Offer a picture; gives the path and query of its link, which lives from now."""
        now = self._wall()
        self._forget(now)
        # Random rather than counted: a link of an earlier simulator on the same port must lead nowhere.
        picture_id = secrets.token_hex(16)
        self._exhibits[picture_id] = (now + self._window_s, exhibit)
        return self._signer.sign(picture_id, exhibit.recipe.image_format, now=now)

    def find(self, picture_id: str) -> Exhibit | None:
        """The picture of that id, or None when there is none any more."""
        kept = self._exhibits.get(picture_id)
        return kept[1] if kept else None

    def _forget(self, now: float) -> None:
        while self._exhibits:
            expiry, _ = next(iter(self._exhibits.values()))
            if expiry > now and len(self._exhibits) < self._capacity:
                return
            self._exhibits.popitem(last=False)
