"""The vendor's own API: a task is taken at once, and asked after until its picture is ready."""

import json
import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from pipeline.simulator.account import Charge
from pipeline.simulator.edits import Sitter
from pipeline.simulator.faults import Stage
from pipeline.simulator.gallery import Exhibit
from pipeline.simulator.generations import Generations, offers_key
from pipeline.simulator.orders import Order, read_order
from pipeline.simulator.refusals import RefusalError, refusal_for
from pipeline.simulator.wire import REQUEST_ID, Wire, hand_over

#: Tasks kept for asking after, so that memory stays bounded.
_KEPT_TASKS = 100_000
_MICROUSD_A_CREDIT = 10_000
#: How long a task with the fault ``task_slow`` takes, in seconds.
SLOW_S = 3.0
_ENDS = {
    "task_request_moderated": "Request Moderated",
    "task_content_moderated": "Content Moderated",
    "task_error": "Error",
    "task_not_found": "Task not found",
}
#: What the gateway's statuses are at the vendor.
_STATUSES = {400: 422, 401: 403}


@dataclass(slots=True, kw_only=True)
class _Task:
    """One task: when it is ready, and what then is said of it."""

    order: Order
    begun: float
    ready: float
    end: str
    exhibit: Exhibit
    charge: Charge | None
    link: str = ""


@dataclass(slots=True, kw_only=True)
class Tasks:
    """Serves ``POST /v1/<model>`` and ``GET /v1/get_result``.

    Attributes:
        requests: Tasks that were asked for, the refused ones included.
        polls: How often they were asked after.
        throttled: Those refused for too many active tasks.
    """

    generations: Generations
    wall: Callable[[], float]
    requests: int = field(default=0, init=False)
    polls: int = field(default=0, init=False)
    throttled: int = field(default=0, init=False)
    _tasks: OrderedDict[str, _Task] = field(default_factory=OrderedDict, init=False)

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Take a task, or refuse it, in the vendor's words."""
        self.requests += 1
        try:
            return await self._submit(request)
        except RefusalError as refusal:
            raise _in_vendors_words(refusal) from None

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Say how far a task is."""
        self.polls += 1
        self._check_key(request)
        number = request.query.get("id", "")
        task = self._tasks.get(number)
        fault = None if task is None else self.generations.plan.pick(Stage.POLL, task.order.markers, number)
        if task is None or task.end == "Task not found" or fault == "poll_unheard":
            return web.json_response({"id": number, "status": "Task not found", "result": None}, status=404)
        if fault == "poll_reset":
            return Wire(request, self.generations.stopping).reset()
        if fault == "poll_500":
            raise RefusalError(500, "The server had an error")
        if self.wall() < task.ready:
            return web.json_response({"id": number, "status": "Pending", "result": None})
        if task.end != "Ready":
            return web.json_response({"id": number, "status": task.end, "result": None})
        return await self._hand_over(request, number, task)

    async def _submit(self, request: web.Request) -> web.StreamResponse:
        self._check_key(request)
        model, making = request.match_info["model"], self.generations
        price = making.settings.prices_microusd.get(model)
        if price is None:
            raise RefusalError(404, "Not Found")
        order = read_order(_with_model(await request.read(), model), "flat")
        self._require_room(model)
        sitters = await making.sitters(order)
        fault = making.plan.pick(Stage.BEFORE_CHARGE, order.markers, order.prompt)
        if fault == "lost_before_charge":
            return Wire(request, making.stopping).reset()
        if fault is not None:
            raise RefusalError(502, "Bad Gateway") if fault == "overload_502" else refusal_for(fault)
        making.account.require(price)
        number, task = self._take(request, order, price, sitters)
        answer = {
            "id": number,
            "polling_url": f"{request.url.origin()}/v1/get_result?id={number}",
            "cost": price / _MICROUSD_A_CREDIT,
        }
        spoilt = making.plan.pick(Stage.AFTER_CHARGE, order.markers, order.prompt)
        if spoilt is not None:
            assert task.charge is not None or task.end != "Ready", "a picture is charged"  # noqa: S101
            return await making.spoil(spoilt, request, answer, request[REQUEST_ID])
        return web.json_response(answer)

    def _take(self, request: web.Request, order: Order, price: int, sitters: Sequence[Sitter]) -> tuple[str, _Task]:
        """Take a task; it is charged unless nothing will be drawn."""
        making, now = self.generations, self.wall()
        faults = making.plan.pick_all(Stage.TASK, order.markers, order.prompt)
        end = next((_ENDS[name] for name in sorted(faults) if name in _ENDS), "Ready")
        charge = None
        if end in {"Ready", "Task not found"}:
            charge = making.account.charge(
                model=order.model, prompt=order.prompt, microusd=price, request_id=request[REQUEST_ID]
            )
        task = _Task(
            order=order,
            begun=now,
            ready=now + (SLOW_S if "task_slow" in faults else making.latency_s()),
            end=end,
            exhibit=making.exhibit(order, sitters),
            charge=charge,
        )
        number = secrets.token_hex(16)
        self._tasks[number] = task
        if len(self._tasks) > _KEPT_TASKS:
            self._tasks.popitem(last=False)
        return number, task

    def _require_room(self, model: str) -> None:
        """Refuse more active tasks than the settings admit.

        Raises:
            RefusalError: 429.
        """
        settings, now = self.generations.settings, self.wall()
        active = Counter(task.order.model for task in self._tasks.values() if now < task.ready)
        limits = (
            (active.total(), settings.active_tasks),
            (active[model], settings.active_tasks_by_model.get(model)),
        )
        if any(limit is not None and number >= limit for number, limit in limits):
            self.throttled += 1
            raise refusal_for("throttle")

    async def _hand_over(self, request: web.Request, number: str, task: _Task) -> web.StreamResponse:
        task.link = task.link or self.generations.answers.gallery.hang(task.exhibit)
        result: dict[str, Any] = {
            "sample": f"{request.url.origin()}{task.link}",
            "prompt": task.order.prompt,
            "seed": task.exhibit.recipe.seed,
            "start_time": task.begun,
            "end_time": task.ready,
        }
        response = web.json_response({"id": number, "status": "Ready", "result": result})
        if await hand_over(request, response) and task.charge is not None:
            self.generations.account.mark_delivered(task.charge.request_id)
        return response

    def _check_key(self, request: web.Request) -> None:
        keys = self.generations.settings.keys
        if keys and not offers_key(request.headers.get("x-key", ""), keys):
            raise _in_vendors_words(RefusalError(403, "Not authenticated"))


def _with_model(body: bytes, model: str) -> bytes:
    """The body as the Images API has it, where the model stands beside the prompt."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return body
    return json.dumps({**asked, "model": model}).encode() if isinstance(asked, dict) else body


def _in_vendors_words(refusal: RefusalError) -> RefusalError:
    """The same refusal as the vendor puts it: one ``detail``, and statuses of its own."""
    error: Any = refusal.body.get("error") or {}
    status = _STATUSES.get(refusal.status, refusal.status)
    if error.get("code") in {"insufficient_user_quota", "insufficient_quota"}:
        status = 402
    if error.get("code") == "model_not_found":
        status = 404
    refusal.status, refusal.body = status, {"detail": str(error.get("message", refusal))}
    return refusal
