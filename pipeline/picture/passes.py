"""The only module that reads what the passes of a progressive JPEG add up to (ITU T.81, B.2.2, B.2.3 and G.1.1)."""

from dataclasses import dataclass, field

#: Waves in a block of 8 by 8: the mean, and 63 others.
_WAVES = 64
_COMPONENT_BYTES = 3


@dataclass(slots=True)
class Passes:
    """How exactly each wave of each component has been told so far.

    Only a file whose headers all read well, and follow each other as they must, is judged: what is odd otherwise is for
    the decoder to say.
    """

    _bits_missing: dict[int, list[int | None]] = field(default_factory=dict)
    _odd: bool = False

    def frame(self, body: bytes) -> None:
        """Take a frame header's body, after its length: which components there are."""
        count = body[5] if len(body) > 5 else 0
        if not count or len(body) != 6 + _COMPONENT_BYTES * count or self._bits_missing:
            self._odd = True
            return
        self._bits_missing = {component: [None] * _WAVES for component in body[6::_COMPONENT_BYTES]}

    def scan(self, body: bytes) -> None:
        """Take a scan header's body, after its length: which waves it tells, down to which bit."""
        count = body[0] if body else 0
        if not count or len(body) != 4 + 2 * count:
            self._odd = True
            return
        first, last, bits = body[-3:]
        before, after = bits >> 4, bits & 0xF
        for component in body[1 : 1 + 2 * count : 2]:
            waves = self._bits_missing.get(component)
            if waves is None or not first <= last < _WAVES:
                self._odd = True
                return
            for wave in range(first, last + 1):
                # A first pass over a wave names no bit before it; one that refines it goes on where the last one ended.
                self._odd |= waves[wave] != (before or None) or (before > 0 and after != before - 1)
                waves[wave] = after

    @property
    def complete(self) -> bool:
        """Whether every wave has been told to its last bit, as far as that can be judged."""
        return self._odd or all(bit == 0 for waves in self._bits_missing.values() for bit in waves)
