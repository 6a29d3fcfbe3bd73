"""The only client of the Images API: buys one picture, once, and says plainly what came of it."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

import anyio.to_thread

from pipeline.catalog import Answers, EditRoute, Meaning, Sizes, Wire
from pipeline.clock import Clock
from pipeline.job import InputImage, PictureRequest
from pipeline.provider.answers import NoPictureError, Picture, read_picture
from pipeline.provider.classify import classify, request_id, rules_of
from pipeline.provider.deadlines import deadline_of
from pipeline.provider.errors import AnswerLostError, UnreachableError
from pipeline.provider.requests import EDITS_PATH, GENERATIONS_PATH, IMAGE_FIELD, edit_form, request_body
from pipeline.provider.waits import Allowance, allowance
from pipeline.transport import ApiResponse, ApiTimeouts, LostError, NeverSentError


class Poster(Protocol):
    """What the client needs of a transport; see ``pipeline.transport.ApiTransport``."""

    async def post_json(self, path: str, payload: Mapping[str, Any], *, timeouts: ApiTimeouts) -> ApiResponse:
        """Post once; raise ``NeverSentError`` or ``LostError``."""
        ...

    async def post_document(self, path: str, document: bytes, *, timeouts: ApiTimeouts) -> ApiResponse:
        """The same, of JSON that is written already."""
        ...

    async def post_form(
        self, path: str, fields: Mapping[str, str], *, name: str, image: InputImage, timeouts: ApiTimeouts
    ) -> ApiResponse:
        """The same, of a form with one file, in the field of that ``name``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A picture that is paid for.

    Attributes:
        url: Where it is, absolute; None where its bytes came with the answer.
        image: Its bytes, unproven; None where there is a URL.
        answered_at: When the answer's headers came, in seconds since 1970.
        answered: The same moment on this process's own clock, which nobody sets; None where it was not looked at.
        deadline: When the URL dies, in seconds since 1970; None for bytes.
        request_id: The provider's, or "".
        allowance: What the answer's headers say the provider allows, or None.
    """

    url: str | None
    image: bytes | None
    answered_at: float
    deadline: float | None
    request_id: str
    answered: float | None = None
    allowance: Allowance | None = None


class ImagesClient:
    """Buys pictures. Holds no state of its own, so any number of purchases may be under way."""

    def __init__(
        self,
        transport: Poster,
        *,
        base_url: str,
        wire: Wire,
        window_s: float,
        clock: Clock,
        timeouts: ApiTimeouts | None = None,
        edits: EditRoute = "json",
        sizes: Sizes = "size",
        ratio_models: Collection[str] = (),
        answers: Answers | None = None,
        codes: Mapping[str, Meaning] = MappingProxyType({}),
    ) -> None:
        """Say how the provider is spoken to.

        Args:
            transport: What carries the requests.
            base_url: What relative URLs in answers are relative to.
            wire: Where Flux parameters travel.
            window_s: How long a URL lives.
            clock: Tells when an answer came.
            edits: How input images travel.
            sizes: How a size is asked for.
            ratio_models: Models that take a ratio here, although the catalog says a size.
            answers: What form of answer to ask for; None for none.
            codes: What the provider's own error codes mean.
            timeouts: All but the first byte's, which each purchase brings with it.
        """
        self._transport = transport
        self._base_url = base_url
        self._wire = wire
        self._edits = edits
        self._window_s = window_s
        self._shape: dict[str, Any] = {"sizes": sizes, "ratio_models": ratio_models, "answers": answers}
        self._rules = rules_of(codes)
        self._clock = clock
        self._timeouts = timeouts or ApiTimeouts()

    async def buy(self, request: PictureRequest, *, first_byte_s: float, images: Sequence[InputImage] = ()) -> Answer:
        """Ask for one picture, once.

        Args:
            request: What to draw.
            first_byte_s: The longest wait for an answer's first byte, in seconds.
            images: The input images as they are sent; none for a generation.

        Raises:
            ProviderError: No picture; the class says why, and what happened to the money.
        """
        timeouts = replace(self._timeouts, first_byte_s=first_byte_s)
        try:
            response = await self._post(request, images, timeouts)
        except NeverSentError as error:
            raise UnreachableError(error.message, kind=error.kind) from error
        except LostError as error:
            raise AnswerLostError(error.message, kind=error.kind) from error
        now, here = self._clock.wall(), self._clock.monotonic()
        if not 200 <= response.status < 300:
            raise classify(response, wall=now, own_rules=self._rules)
        try:
            picture = read_picture(response.body, base_url=self._base_url)
        except NoPictureError as problem:
            kind = problem.kind if response.complete else "incomplete"
            raise classify(response, wall=now, kind=kind, own_rules=self._rules) from None
        late_s = response.reading_s
        return self._answer(picture, answered_at=now - late_s, answered=here - late_s, headers=response.headers)

    async def _post(self, request: PictureRequest, images: Sequence[InputImage], timeouts: ApiTimeouts) -> ApiResponse:
        """Send it, by the route that fits."""
        transport = self._transport
        if not images:
            payload = request_body(request, wire=self._wire, **self._shape)
            return await transport.post_json(GENERATIONS_PATH, payload, timeouts=timeouts)
        if self._edits == "multipart":
            fields, image = edit_form(request, images, **self._shape)
            return await transport.post_form(EDITS_PATH, fields, name=IMAGE_FIELD, image=image, timeouts=timeouts)

        def write() -> bytes:  # 20 MB take a tenth of a second
            return json.dumps(request_body(request, wire=self._wire, images=images, **self._shape)).encode()

        document = await anyio.to_thread.run_sync(write)
        return await transport.post_document(GENERATIONS_PATH, document, timeouts=timeouts)

    def _answer(self, picture: Picture, *, answered_at: float, answered: float, headers: Mapping[str, str]) -> Answer:
        deadline = None
        if picture.url is not None:
            deadline = deadline_of(
                picture.url, answered_at=answered_at, created=picture.created, window_s=self._window_s
            )
        return Answer(
            url=picture.url,
            image=picture.image,
            answered_at=answered_at,
            deadline=deadline,
            request_id=request_id(headers),
            answered=answered,
            allowance=allowance(headers),
        )
