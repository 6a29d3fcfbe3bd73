"""The only module that knows how a job's keys make a request: row over defaults over the catalog's defaults."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from pipeline.catalog import ModelSpec, uses
from pipeline.catalog.models import WholeNumber
from pipeline.job import ImageFormat, PictureRequest
from pipeline.manifest.complaints import UnfitError, listed, nearest, shown
from pipeline.manifest.template import compile_template
from pipeline.manifest.values import read_prompt, read_ratio, read_switch, read_use, read_whole
from pipeline.ratio import Ratio

#: The keys of a job that make up its request; each may be a constant or a template.
KEYS = ("prompt", "model", "ratio", "use", "seed", "format", "safety_tolerance", "prompt_upsampling")

READERS: dict[str, Callable[[str], Any]] = {
    "prompt": read_prompt,
    "model": str,
    "ratio": read_ratio,
    "use": read_use,
    "seed": lambda text: read_whole("seed", text),
    "format": str,
    "safety_tolerance": lambda text: read_whole("safety_tolerance", text),
    "prompt_upsampling": lambda text: read_switch("prompt_upsampling", text),
}

Values: TypeAlias = Sequence[str]
#: Reads one key for the values of a row; None when the row leaves it open.
Read: TypeAlias = Callable[[Values], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What can be bought: the catalog's models, and which of them the provider has a price for."""

    provider: str
    models: Mapping[str, ModelSpec]
    prices: Mapping[str, int]

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
            hint = f"state it: provider: {{profile: {self.provider}, prices: {{{model}: 0.05}}}}"
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
    """

    given: Mapping[str, Read]
    defaults: Mapping[str, Any]
    offer: Offer
    repeat: int = 1

    def picture(self, values: Values) -> tuple[PictureRequest, str]:
        """Make the request of one row, and name the use that its shape was asked by (an empty text for none).

        Raises:
            UnfitError: One key does not fit; ``faults`` finds all of them.
        """
        spec = self._spec(values)
        shape, use = self._shape(values, spec)
        request = PictureRequest(
            model=spec.id,
            prompt=self.given["prompt"](values),
            ratio=shape,
            seed=self._seed(values, spec),
            output_format=self._format(values, spec),
            safety_tolerance=self._safety_tolerance(values, spec),
            prompt_upsampling=self._prompt_upsampling(values, spec),
        )
        return request, use

    def faults(self, values: Values) -> list[UnfitError]:
        """Find everything that does not fit in one row; empty when all fits."""
        found: list[UnfitError] = []

        def attempt(step: Callable[..., object], *arguments: object) -> object:
            try:
                return step(*arguments)
            except UnfitError as exc:
                found.append(exc)
                return None

        spec = attempt(self._spec, values)
        attempt(self.given["prompt"], values)
        if isinstance(spec, ModelSpec):
            for step in (self._shape, self._seed, self._format, self._safety_tolerance, self._prompt_upsampling):
                attempt(step, values, spec)
        else:
            for key in self.given.keys() - {"model", "prompt"}:
                attempt(self.given[key], values)
        return found

    def _read(self, key: str, values: Values) -> Any:
        """What the row says of a key, or else the defaults; None when neither does."""
        read = self.given.get(key)
        value = None if read is None else read(values)
        return self.defaults.get(key) if value is None else value

    def _spec(self, values: Values) -> ModelSpec:
        model = self._read("model", values)
        return self.offer.spec(self.offer.first if model is None else model)

    def _shape(self, values: Values, spec: ModelSpec) -> tuple[Ratio | None, str]:
        found = self._given_shape(values) or self._default_shape()
        if spec.parameters.ratio is None:
            if found is not None:
                raise _not_taken("use" if found[1] else "ratio", spec)
            return None, ""
        return found or (read_ratio(spec.parameters.ratio.default), "")

    def _given_shape(self, values: Values) -> tuple[Ratio, str] | None:
        for key in ("ratio", "use"):
            if key in self.given and (value := self.given[key](values)) is not None:
                return _as_shape(value)
        return None

    def _default_shape(self) -> tuple[Ratio, str] | None:
        value = self.defaults.get("ratio", self.defaults.get("use"))
        return None if value is None else _as_shape(value)

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
        return _within("safety_tolerance", self._read("safety_tolerance", values), bounds, spec)

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


def read_constant(key: str, value: Any) -> Any:
    """Read a key of the defaults, which stands for itself; None when it is an empty text.

    Raises:
        UnfitError: It holds placeholders, or makes no sense.
    """
    if not isinstance(value, str):
        return value
    literal = compile_template(key, value).literal
    if literal is None:
        raise UnfitError(key, "placeholders cannot stand in the defaults", "put it in the jobs that have the variable")
    return READERS[key](literal)


def reader(key: str, value: Any, names: Sequence[str], known: Sequence[str]) -> Read:
    """Make the function that reads one key of a job from a row's values.

    Args:
        key: One of KEYS.
        value: As written: a number, a switch or a text with placeholders.
        names: What the row's values are called, in order.
        known: Every word that could have been used; those that are used are among ``names``.

    Raises:
        UnfitError: A placeholder nobody has, or a constant that makes no sense.
    """
    if not isinstance(value, str):
        return lambda _: value
    template = compile_template(key, value)
    template.check(key, known)
    read = READERS[key]
    if template.literal is not None:
        found = read(template.literal)
        return lambda _: found
    fill = template.bind(names)
    if key == "prompt":
        return lambda values: read(fill(values))
    return lambda values: read(text) if (text := fill(values).strip()) else None


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
