"""A courier with the real transport and the real disk, whose clock stands still unless somebody waits."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.deliver import Backlog, Courier, DeliveryEvent, EventKind, Limits
from pipeline.transport import DownloadTransport
from tests.integration.deliver_doubles import WINDOW_S, FakeClock, FakeRecord, purchase

if TYPE_CHECKING:
    from pipeline.errors import FluxbatchError


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a delivery ended: the outcome, and in the record's words why."""

    outcome: str
    kind: str
    message: str


class Receiving:
    """Takes deliveries, one after the other."""

    def __init__(
        self,
        output: Path,
        transport: DownloadTransport,
        *,
        limits: Limits | None = None,
        clock: FakeClock | None = None,
    ) -> None:
        self.output = output
        self.transport = transport
        self.clock = clock or FakeClock()
        self.record = FakeRecord()
        self.troubles: list[FluxbatchError] = []
        self.events: list[DeliveryEvent] = []
        self.backlog = Backlog(workers=2, window_s=WINDOW_S, clock=self.clock)
        self.courier = Courier(
            output=output,
            transport=transport,
            record=self.record,
            clock=self.clock,
            backlog=self.backlog,
            on_trouble=self.troubles.append,
            on_event=self.events.append,
            limits=limits,
            draw=lambda _low, high: high,
        )

    async def deliver(self, url: str, *, late: bool = False, **changes: Any) -> End:
        """Deliver what a URL leads to; ``late``: after its deadline, so that there is one try."""
        now = self.clock.wall()
        bought_at = now - WINDOW_S - 1 if late else now
        self.backlog.adopt()
        outcome = await self.courier.deliver(
            purchase(**{"url": url, "bought_at": bought_at, "deadline": bought_at + WINDOW_S, **changes})
        )
        assert self.backlog.outstanding == 0
        if outcome.value == "left":
            return End(outcome="left", kind="", message=str(self.troubles[-1]))
        ended, kind, message = self.record.ends[-1]
        assert ended == outcome.value
        return End(outcome=ended, kind=kind, message=message)

    def retries(self) -> list[str]:
        """Why each further try was made, in a word."""
        return [event.message.split(":")[0] for event in self.events if event.kind is EventKind.RETRY]

    def files(self) -> dict[str, bytes]:
        """All files in the output folder, hidden ones too."""
        found = (path for path in self.output.rglob("*") if path.is_file() and not path.is_symlink())
        return {path.relative_to(self.output).as_posix(): path.read_bytes() for path in found}
