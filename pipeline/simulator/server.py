"""The simulator itself: wires its parts, listens, and leaves nothing behind when it stops."""

import asyncio
import random
import secrets
import time
from types import TracebackType
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler

from pipeline.simulator.account import Account, Bill
from pipeline.simulator.answers import Answers
from pipeline.simulator.downloads import Downloads
from pipeline.simulator.faults import FaultPlan
from pipeline.simulator.gallery import Gallery
from pipeline.simulator.gate import Gate
from pipeline.simulator.generations import Generations, check_key
from pipeline.simulator.links import LinkSigner
from pipeline.simulator.logbook import Logbook
from pipeline.simulator.refusals import RefusalError, as_refusal
from pipeline.simulator.settings import SimulatorSettings
from pipeline.simulator.studio import Studio
from pipeline.simulator.tasks import Tasks
from pipeline.simulator.wire import REQUEST_ID

_USUAL = SimulatorSettings()
#: Requests still running when the simulator stops get this long; hanging ones end at once.
_SHUTDOWN_S = 0.1


class Simulator:
    """A provider on a real socket. ``async with Simulator(settings) as simulator`` serves until the block ends.

    It may be entered again after that, for a provider that comes back: the account and the pictures stay.
    """

    def __init__(self, settings: SimulatorSettings = _USUAL) -> None:
        self.settings = settings
        signer = LinkSigner(secrets.token_bytes(32), window_s=settings.window_s, mark=settings.signature_mark)
        self._account = Account(settings.balance_microusd, wall=time.time)
        self._gate = Gate(settings, monotonic=time.monotonic)
        gallery = Gallery(signer, window_s=settings.window_s, wall=time.time)
        plan = FaultPlan(settings.faults, seed=settings.seed)
        studio = Studio()
        self._stopping = asyncio.Event()
        self._generations = Generations(
            settings=settings,
            account=self._account,
            gate=self._gate,
            plan=plan,
            answers=Answers(answer=settings.answer, gallery=gallery, studio=studio),
            stopping=self._stopping,
            source=random.Random(f"pictures {settings.seed}"),
        )
        self._downloads = Downloads(
            gallery=gallery,
            signer=signer,
            plan=plan,
            studio=studio,
            stopping=self._stopping,
            expired_status=settings.expired_status,
            trickle_bytes_per_s=settings.trickle_bytes_per_s,
            bytes_per_s=settings.download_bytes_per_s,
            wall=time.time,
        )
        self._tasks_api = Tasks(generations=self._generations, wall=time.time)
        self._logbook = Logbook(settings=settings, account=self._account, opened_at=time.time())
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        """What a client is given, up to and with ``/v1``.

        Raises:
            RuntimeError: The simulator is not running.
        """
        if self._runner is None:
            raise RuntimeError("the simulator is not running")
        port = self._runner.addresses[0][1]
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return f"http://{host}:{port}/v1"

    @property
    def bill(self) -> Bill:
        """What happened up to now; a copy that does not change."""
        return Bill(
            charges=self._account.charges,
            charged_microusd=self._account.charged_microusd,
            pictures=self._account.pictures,
            balance_microusd=self._account.balance_microusd,
            requests=self._generations.requests + self._tasks_api.requests,
            throttled=self._gate.refused + self._tasks_api.throttled,
            in_flight_peak=self._gate.peak,
            downloads=self._downloads.served,
        )

    def throttle(self, bytes_per_s: int | None) -> None:
        """Change the bandwidth that all downloads share, in mid-run; None for no bound."""
        self._downloads.throttle(bytes_per_s)

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            OSError: The port is taken, or the address is not this machine's.
        """
        self._stopping.clear()
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, self.settings.host, self.settings.port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop: hang up on everybody."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()
        # The HTTP library forgets a request whose client has left.
        left = tuple(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(0)

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._attend], client_max_size=self.settings.max_body_bytes)
        application.on_response_prepare.append(_name_request)
        application.on_shutdown.append(self._stop_waiting)
        router = application.router
        router.add_post("/v1/images/generations", self._generations.post)
        router.add_post(r"/v1/{model:flux[\w.-]*}", self._tasks_api.post)
        router.add_get("/v1/get_result", self._tasks_api.get, allow_head=False)
        router.add_post("/v1/images/edits", self._generations.post_edit)
        router.add_get("/v1/models", self._get_models, allow_head=False)
        router.add_get("/api/log/self", self._logbook.get, allow_head=False)
        for folder in ("delivery", "moved"):
            router.add_get(f"/{folder}/{{picture}}/{{file}}", self._downloads.get, allow_head=False)
        router.add_get("/simulator/bill", self._get_bill, allow_head=False)
        router.add_get("/simulator/health", _get_health, allow_head=False)
        return application

    @web.middleware
    async def _attend(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Give the request its id, keep hold of its task, and turn refusals into answers."""
        request[REQUEST_ID] = f"req_{secrets.token_hex(12)}"
        task = asyncio.current_task()
        assert task is not None, "a handler runs in a task"  # noqa: S101
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await handler(request)
        except RefusalError as refusal:
            return refusal.response()
        except web.HTTPException as error:
            return as_refusal(error).response()

    async def _stop_waiting(self, _: web.Application) -> None:
        self._stopping.set()

    async def _get_models(self, request: web.Request) -> web.Response:
        check_key(request, self.settings.keys)
        models = [
            {"id": name, "object": "model", "created": 0, "owned_by": "simulator"}
            for name in self.settings.prices_microusd
        ]
        return web.json_response({"object": "list", "data": models})

    async def _get_bill(self, _: web.Request) -> web.Response:
        return web.json_response(self.bill.to_json())


async def _name_request(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.setdefault("x-request-id", request[REQUEST_ID])


async def _get_health(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})
