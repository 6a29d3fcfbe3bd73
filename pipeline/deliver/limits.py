"""The numbers a delivery lives by, in one place so that tests and simulations can shorten them."""

from dataclasses import dataclass

MIB = 1024 * 1024
#: The largest body taken, and so the largest file kept; the models draw about one megapixel.
CAP_BYTES = 64 * MIB
#: Taken for the life of a URL that came without a deadline.
DEFAULT_WINDOW_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The defaults are those of the reliability facts.

    Attributes:
        cap_bytes: The largest body.
        piece_bytes: How much is gathered before it is written.
        answer_s: The longest wait for an answer to begin, the connection included; doubled for a try that follows one
            given up for being slow, three times at most.
        floor_bytes_per_s: The slowest that is taken for long, over the last ``grace_s`` seconds; see ``Speeds``.
        grace_s: See ``floor_bytes_per_s``; also the longest silence in a body, doubled as ``answer_s`` is.
        margin_s: A download is done this long before its deadline; a tenth of the window where that is less.
        first_try_s: What the first try may take, however late the purchase is picked up: clocks differ, a try is cheap.
        shortest_try_s: With less time than this left before the margin, no further try is made.
        backoff_base_s: The first back-off is drawn from zero to this.
        backoff_cap_s: No back-off is longer.
        slow_factor: How much longer the back-off is after an answer that speaks of us rather than of the moment.
        fruitless_tries: Bytes that came whole and prove nothing this often will never do; as many failures to make
            a file durable are the disk's fault.
        losses_in_a_row: So many pictures paid and lost or spoiled, though picked up with time to spare, and none
            stored between: buying more would throw money after them, and the run is told.
    """

    cap_bytes: int = CAP_BYTES
    piece_bytes: int = MIB // 4
    answer_s: float = 10.0
    floor_bytes_per_s: float = 10_000
    grace_s: float = 5.0
    margin_s: float = 5.0
    first_try_s: float = 30.0
    shortest_try_s: float = 1.0
    backoff_base_s: float = 0.5
    backoff_cap_s: float = 15.0
    slow_factor: float = 4.0
    fruitless_tries: int = 3
    losses_in_a_row: int = 10
