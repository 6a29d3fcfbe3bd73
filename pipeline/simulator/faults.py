"""Which faults there are, and when each strikes: by chance, or by a marker in the prompt."""

import difflib
import random
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum


class Stage(Enum):
    """The moment of a picture's life at which a fault strikes."""

    BEFORE_CHARGE = "before"
    AFTER_CHARGE = "after"
    TASK = "task"
    POLL = "poll"
    PICTURE = "picture"
    DOWNLOAD = "download"


_STAGES = {
    Stage.BEFORE_CHARGE: (
        "bad_key error_in_200 invalid lost_before_charge model_gone moderated moderated_in_200 no_balance "
        "no_balance_429 overload_500 overload_502 overload_503 throttle throttle_retry_after"
    ),
    Stage.AFTER_CHARGE: (
        "empty_data gateway_504 gateway_524 half_body half_chunked hang html_200 lost redirect_307 slow_end "
        "task_id_200 timeout_408"
    ),
    Stage.TASK: "task_content_moderated task_error task_not_found task_request_moderated task_slow",
    Stage.POLL: "poll_500 poll_reset poll_unheard",
    Stage.PICTURE: "wrong_content_type wrong_format wrong_shape",
    Stage.DOWNLOAD: (
        "dl_403 dl_404 dl_429 dl_500 dl_changed dl_cut dl_empty dl_garbage dl_gzip_lie dl_html dl_redirect "
        "dl_redirect_loop dl_redirect_private dl_short_no_length dl_stall dl_trickle dl_truncated_image "
        "dl_wrong_length dl_wrong_range"
    ),
}
_STAGE_OF = {name: stage for stage, names in _STAGES.items() for name in names.split()}

#: Every fault's name, sorted.
FAULTS: tuple[str, ...] = tuple(sorted(_STAGE_OF))

_MARKER = re.compile(r"\[fault:([^\]]*)\]")
_MARKER_TEXT = re.compile(r"([^*]*)(?:\*([1-9]\d{0,8}))?")

#: How many prompts and pictures the counts of ``*N`` markers are kept for; the longest unused are forgotten.
_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A fault asked for by a prompt: ``[fault:NAME]`` always, ``[fault:NAME*2]`` the first two times."""

    name: str
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that strikes by chance.

    Attributes:
        name: One of FAULTS.
        rate: The share of requests (of downloads, for a ``dl_`` fault) it strikes, from 0 to 1.
        times: Strikes at most this often in all, at least 1; with a rate of 0, it strikes the first ``times`` requests.

    Raises:
        ValueError: An unknown name, a rate outside 0 to 1, or ``times`` below 1.
    """

    name: str
    rate: float = 0.0
    times: int | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        if not 0 <= self.rate <= 1:
            raise ValueError(f"the rate of {self.name} is {self.rate}; it must be from 0 to 1")
        if self.times is not None and self.times < 1:
            raise ValueError(f"the times of {self.name} are {self.times}; they must be at least 1")

    @property
    def chance(self) -> float:
        """The probability for each request while ``times`` last."""
        return 1.0 if self.times is not None and self.rate == 0 else self.rate


def check_name(name: str) -> None:
    """Refuse a name that is no fault's.

    Raises:
        ValueError: It is none of FAULTS; the message names the nearest.
    """
    if name not in _STAGE_OF:
        nearest = difflib.get_close_matches(name, FAULTS, n=1, cutoff=0)[0]
        raise ValueError(f"there is no fault {name!r}; the nearest is {nearest!r}")


def read_markers(prompt: str) -> tuple[Marker, ...]:
    """The markers of a prompt, in the order written.

    Raises:
        ValueError: A marker is malformed or names no fault.
    """
    return tuple(_read_marker(match[1]) for match in _MARKER.finditer(prompt))


def _read_marker(text: str) -> Marker:
    match = _MARKER_TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"[fault:{text}] is not a marker; write [fault:NAME] or [fault:NAME*2]")
    check_name(match[1])
    return Marker(name=match[1], times=int(match[2]) if match[2] else None)


class FaultPlan:
    """Decides, request by request, which faults strike. Markers come before chance; the same seed decides alike."""

    def __init__(self, faults: Iterable[Fault], *, seed: int, remembered: int = _REMEMBERED) -> None:
        self._random_faults = tuple(faults)
        self._struck = [0] * len(self._random_faults)
        self._source = random.Random(f"faults {seed}")
        self._marked: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._remembered = remembered

    def pick(
        self, stage: Stage, markers: Sequence[Marker], subject: str, *, spared: frozenset[str] = frozenset()
    ) -> str | None:
        """The one fault that strikes at this stage, or None.

        Args:
            stage: The moment.
            markers: Those of the prompt.
            subject: What a marker's ``times`` are counted for: the prompt, or the picture's id for downloads.
            spared: Names that do not strike here and are not counted.
        """
        return next(self._due(stage, markers, subject, spared), None)

    def pick_all(self, stage: Stage, markers: Sequence[Marker], subject: str) -> frozenset[str]:
        """Every fault that strikes at this stage; for faults that go together."""
        return frozenset(self._due(stage, markers, subject, frozenset()))

    def _due(self, stage: Stage, markers: Sequence[Marker], subject: str, spared: frozenset[str]) -> Iterator[str]:
        for marker in markers:
            if _STAGE_OF[marker.name] is stage and marker.name not in spared and self._is_due(marker, subject):
                yield marker.name
        for place, fault in enumerate(self._random_faults):
            if _STAGE_OF[fault.name] is not stage or fault.name in spared:
                continue
            left = fault.times is None or self._struck[place] < fault.times
            if left and self._source.random() < fault.chance:
                self._struck[place] += 1
                yield fault.name

    def _is_due(self, marker: Marker, subject: str) -> bool:
        if marker.times is None:
            return True
        key = (subject, marker.name)
        struck = self._marked.get(key, 0)
        if struck >= marker.times:
            return False
        self._marked[key] = struck + 1
        self._marked.move_to_end(key)
        if len(self._marked) > self._remembered:
            self._marked.popitem(last=False)
        return True
