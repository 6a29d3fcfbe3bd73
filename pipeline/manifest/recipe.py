"""The only module that knows how a job's keys make a request: row over defaults over the catalog's defaults."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from pipeline.catalog import ModelSpec, uses
from pipeline.catalog.models import WholeNumber
from pipeline.job import ImageFormat, PictureRequest
from pipeline.manifest.complaints import DoubtError, Gathering, UnfitError, listed, nearest, shown
from pipeline.manifest.images import NO_INPUTS, Inputs, Prepared, check_images
from pipeline.manifest.reading import Read, Values
from pipeline.manifest.values import read_ratio
from pipeline.ratio import Ratio

#: Stands for a default that is itself wrong.
IN_DOUBT: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What can be bought: the catalog's models, and which of them the provider has a price for.

    Attributes:
        one_image: Whether the provider's route for edits takes one image, whatever the model does.
    """

    provider: str
    models: Mapping[str, ModelSpec]
    prices: Mapping[str, int]
    one_image: bool = False

    @property
    def first(self) -> str:
        """The model of a job that names none."""
        return next(iter(self.models))

    def spec(self, model: str) -> ModelSpec:
        """Find a model.

        Raises:
            UnfitError: The catalog does not have it, or no price is known: nothing is bought at an unknown price.
        """
        spec = self.models.get(model)
        if spec is None:
            hint = nearest(model, self.models) or listed(self.models)
            raise UnfitError("model", f"there is no model named {shown(model)} in the catalog", hint)
        if model not in self.prices:
            # No figure to copy: a budget would rest on it.
            hint = f"state what a picture costs there: provider: {{profile: {self.provider}, prices: {{{model}: USD}}}}"
            raise UnfitError("model", f"no price is known for {model} at {self.provider}", hint)
        return spec


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the values of one row make a request.

    Attributes:
        given: For each key that the job gives, how to read it.
        defaults: For each key that the manifest's defaults give, its value.
        offer: What can be bought.
        repeat: How many pictures of each; a given seed must leave room to count up.
        inputs: The images to edit, and how.
    """

    given: Mapping[str, Read]
    defaults: Mapping[str, Any]
    offer: Offer
    repeat: int = 1
    inputs: Inputs = NO_INPUTS

    def picture(self, values: Values) -> tuple[PictureRequest, str]:
        """Make the request of one row, and name the use that its shape was asked by (an empty text for none).

        Raises:
            UnfitError: One key does not fit; ``faults`` finds all of them.
        """
        spec = self._spec(values)
        shape, use = self._shape(values, spec)
        inputs = self._inputs(values, spec)
        request = PictureRequest(
            model=spec.id,
            prompt=self.given["prompt"](values),
            ratio=shape,
            seed=self._seed(values, spec),
            output_format=self._format(values, spec),
            safety_tolerance=self._safety_tolerance(values, spec),
            prompt_upsampling=self._prompt_upsampling(values, spec),
            stitch=inputs.stitch if inputs else None,
            background=inputs.background if inputs else None,
        )
        return request, use

    def images(self, values: Values) -> tuple[str, ...]:
        """Where the input images of one row that fits are, in order; none for a generation."""
        return self.inputs.where(values)

    def faults(self, values: Values) -> list[UnfitError]:
        """Find everything that does not fit in one row, as far as it can be judged; empty when all fits."""
        faults = Gathering()
        spec = faults.attempt(self._spec, values)
        faults.attempt(self.given["prompt"], values)
        if spec is not None:
            steps = (
                self._shape,
                self._seed,
                self._format,
                self._safety_tolerance,
                self._prompt_upsampling,
                self._inputs,
            )
            for step in steps:
                faults.attempt(cast(Callable[[Values, ModelSpec], object], step), values, spec)
        else:
            for key in self.given.keys() - {"model", "prompt"}:
                faults.attempt(self.given[key], values)
        return faults.found

    def fits(self, values: Values) -> bool:
        """Whether one row makes a request."""
        try:
            self.picture(values)
        except UnfitError:
            return False
        return True

    def _read(self, key: str, values: Values) -> Any:
        """What the row says of a key, or else the defaults; None when neither does."""
        read = self.given.get(key)
        value = None if read is None else read(values)
        return self._default(key) if value is None else value

    def _default(self, key: str) -> Any:
        value = self.defaults.get(key)
        if value is IN_DOUBT:
            raise DoubtError(key)
        return value

    def _spec(self, values: Values) -> ModelSpec:
        model = self._read("model", values)
        return self.offer.spec(self.offer.first if model is None else model)

    def _shape(self, values: Values, spec: ModelSpec) -> tuple[Ratio | None, str]:
        found = self._given_shape(values) or self._default_shape()
        if spec.parameters.ratio is None:
            if found is not None:
                raise _not_taken("use" if found[1] else "ratio", spec)
            return None, ""
        if found is None and self.inputs:
            return None, ""  # it follows the input
        return found or (read_ratio(spec.parameters.ratio.default), "")

    def _given_shape(self, values: Values) -> tuple[Ratio, str] | None:
        for key in ("ratio", "use"):
            if key in self.given and (value := self.given[key](values)) is not None:
                return _as_shape(value)
        return None

    def _default_shape(self) -> tuple[Ratio, str] | None:
        for key in ("ratio", "use"):
            if (value := self._default(key)) is not None:
                return _as_shape(value)
        return None

    def _seed(self, values: Values, spec: ModelSpec) -> int | None:
        seed = _within("seed", self._read("seed", values), spec.parameters.seed, spec)
        if seed is not None and self.repeat > 1:
            try:
                _within("seed", seed + self.repeat - 1, spec.parameters.seed, spec)
            except UnfitError as exc:
                raise UnfitError("seed", f"counts up {self.repeat} times, and then {exc.message}", exc.hint) from None
        return seed

    def _safety_tolerance(self, values: Values, spec: ModelSpec) -> int | None:
        bounds = spec.parameters.safety_tolerance
        value = _within("safety_tolerance", self._read("safety_tolerance", values), bounds, spec)
        most = spec.parameters.edit_safety_tolerance if self.inputs else None
        if value is not None and most is not None and value > most:
            message = f"{value} is more than {most}, which is the most that {spec.id} takes for an edit"
            raise UnfitError("safety_tolerance", message, f"write {most} or less")
        return value

    def _inputs(self, values: Values, spec: ModelSpec) -> Prepared | None:
        """How the row's images are made ready, once they are seen to be there; None for a generation."""
        if not self.inputs:
            return None
        if not spec.parameters.images:
            raise UnfitError("images", f"{spec.id} takes no images", "remove them, or choose another model")
        images = self.inputs.where(values)
        check_images(images)
        at_once = 1 if self.offer.one_image else spec.parameters.images
        stitch = self.inputs.stitch if len(images) > at_once else None
        return Prepared(stitch=stitch, background=self.inputs.background)

    def _format(self, values: Values, spec: ModelSpec) -> ImageFormat:
        choice = spec.parameters.format
        value = self._read("format", values)
        if value is None:
            return choice.default
        if value not in choice.choices:
            known = f"{spec.id} makes {' and '.join(choice.choices)}"
            raise UnfitError(
                "format", f"there is no format named {shown(value)}", nearest(value, choice.choices) or known
            )
        return cast(ImageFormat, value)

    def _prompt_upsampling(self, values: Values, spec: ModelSpec) -> bool | None:
        value = self._read("prompt_upsampling", values)
        switch = spec.parameters.prompt_upsampling
        if switch is None:
            if value is not None:
                raise _not_taken("prompt_upsampling", spec)
            return None
        return switch.default if value is None else cast(bool, value)


def _as_shape(value: Ratio | str) -> tuple[Ratio, str]:
    return (uses()[value], value) if isinstance(value, str) else (value, "")


def _within(key: str, value: int | None, bounds: WholeNumber | None, spec: ModelSpec) -> int | None:
    if bounds is None:
        if value is not None:
            raise _not_taken(key, spec)
        return None
    if value is None:
        return bounds.default
    if not bounds.minimum <= value <= bounds.maximum:
        message = f"{value} is outside {bounds.minimum} to {bounds.maximum}, which {spec.id} takes"
        raise UnfitError(key, message)
    return value


def _not_taken(key: str, spec: ModelSpec) -> UnfitError:
    return UnfitError(key, f"{spec.id} does not take {key}", "remove it, or choose another model")
