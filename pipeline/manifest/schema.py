"""The only module that knows what may be written in a manifest: each key, its meaning and its bounds."""

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from pipeline.catalog import Answers, EditRoute, LogKind, Meaning, Sizes, Wire
from pipeline.manifest.fields import (
    MAX_HOSTS,
    Factor,
    Format,
    Images,
    Model,
    Price,
    ProfileName,
    RatioText,
    Seconds,
    Switch,
    SwitchOrTemplate,
    Text,
    Texts,
    Usd,
    Use,
    Whole,
    WholeOrTemplate,
    read_background,
    read_base_url,
    read_endpoint,
    read_env_name,
    read_host,
    read_hosts,
    read_path,
    read_stitch_height,
    read_store,
    read_text,
    read_version,
    read_webhook,
)

#: Pictures of each job.
MAX_REPEAT = 1_000
#: Providers of one manifest.
MAX_PROVIDERS = 8

_BaseUrl = Annotated[str, BeforeValidator(read_base_url), WithJsonSchema({"type": "string", "format": "uri"})]
_EnvName = Annotated[str, BeforeValidator(read_env_name)]
_Host = Annotated[str, BeforeValidator(read_host)]
_Hosts = Annotated[tuple[_Host, ...], BeforeValidator(read_hosts), Field(strict=False, max_length=MAX_HOSTS)]
_Version = Annotated[Literal[1], BeforeValidator(read_version)]
_Word = Annotated[Wire, BeforeValidator(read_text)]
_Answers = Annotated[Answers, BeforeValidator(read_text)]
_Sizes = Annotated[Sizes, BeforeValidator(read_text)]
_Meaning = Annotated[Meaning, BeforeValidator(read_text)]
_EditRoute = Annotated[EditRoute, BeforeValidator(read_text)]
_LogKind = Annotated[LogKind, BeforeValidator(read_text)]
_Webhook = Annotated[str, BeforeValidator(read_webhook), WithJsonSchema({"type": "string", "format": "uri"})]
_When = Annotated[Literal["finish", "trouble"], BeforeValidator(read_text)]
_Store = Annotated[str, BeforeValidator(read_store), WithJsonSchema({"type": "string", "pattern": "^s3://"})]
_Endpoint = Annotated[str, BeforeValidator(read_endpoint), WithJsonSchema({"type": "string", "format": "uri"})]
_Path = Annotated[str, BeforeValidator(read_path)]
_OnUnknown = Annotated[Literal["hold", "retry"], BeforeValidator(read_text)]
_ModelList = Annotated[tuple[Model, ...], BeforeValidator(read_hosts), Field(strict=False, max_length=MAX_HOSTS)]
_Direction = Annotated[Literal["horizontal", "vertical"], BeforeValidator(read_text)]
_StitchHeight = Annotated[
    Literal["min", "max"] | Annotated[int, Field(ge=16, le=8_192)],
    BeforeValidator(read_stitch_height),
    WithJsonSchema({"anyOf": [{"enum": ["min", "max"]}, {"type": "integer", "minimum": 16, "maximum": 8192}]}),
]
_Colour = Annotated[str, BeforeValidator(read_background), WithJsonSchema({"type": "string"})]
_Variables = dict[str, Texts]


class _Written(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class LimitsKeys(_Written):
    """How much at once, and how much money at most. Amounts are US dollars."""

    concurrency: Whole = Field(16, ge=1, le=512, description="The most requests in flight; the pace stays below it.")
    rate_per_minute: Whole | None = Field(
        None, ge=1, le=100_000, description="The most requests started in a minute, of each model; found if left out."
    )
    processes: Whole = Field(1, ge=1, le=32, description="The processes that a run's work is divided over.")
    downloads: Whole = Field(32, ge=1, le=128, description="The most pictures fetched at once; hosts stay below it.")
    budget_usd: Usd | None = Field(None, description="For this manifest and edition, over all its runs.")
    daily_usd: Usd | None = Field(None, description="For the whole ledger in a calendar day, local time.")
    monthly_usd: Usd | None = Field(None, description="For the whole ledger in a calendar month, local time.")
    total_usd: Usd | None = Field(None, description="For the whole ledger, ever.")
    resend_usd: Usd | None = Field(
        None, description="What on_unknown: retry may spend on asking again, for this manifest and edition."
    )
    max_throttle_s: Seconds = Field(900, gt=0, le=86_400, description="How long one job may wait on rate limits.")


class StitchKeys(_Written):
    """How several images become one, for models that take one."""

    direction: _Direction = Field("horizontal", description="Side by side, or one below the other: vertical.")
    height: _StitchHeight = Field("min", description="What they share: the smaller height (min), max, or pixels.")
    gap: Whole = Field(0, ge=0, le=1_000, description="Pixels between them.")
    background: _Colour = Field("#ffffff", description="Behind transparent places and in gaps: a name, or '#rrggbb'.")


class DefaultsKeys(_Written):
    """What each job has unless it says otherwise."""

    model: Model | None = Field(None, description="The model; the catalog's first when nobody says.")
    ratio: RatioText | None = Field(None, description="Width to height, from 3:7 to 7:3.")
    use: Use | None = Field(None, description="A named ratio, instead of ratio.")
    seed: WholeOrTemplate | None = Field(None, description="Makes a picture repeatable.")
    format: Format | None = Field(None, description="What to ask for: jpeg or png.")
    safety_tolerance: WholeOrTemplate | None = Field(None, description="0 (strictest) to 6.")
    prompt_upsampling: SwitchOrTemplate | None = Field(None, description="Whether the provider may rewrite the prompt.")
    images: Images | None = Field(None, description="What to edit: files, URLs or globs; two are put side by side.")
    stitch: StitchKeys | None = Field(None, description="How several images become one.")


class OutputKeys(_Written):
    """Where pictures go, inside the output folder."""

    folder: Text = Field("{name}/{edition}", description="Folders, with placeholders; empty parts are dropped.")
    file: Text = Field("{index:05}-{slug}-{ratio}", description="The file's name, without its suffix.")
    embed_metadata: Switch = Field(default=False, description="Whether files carry their prompt, model, seed and key.")
    store: _Store | None = Field(None, description="A bucket that pictures go to instead: s3://bucket/prefix.")
    endpoint: _Endpoint | None = Field(None, description="The bucket's server; the environment's when left out.")


class LogKeys(_Written):
    """Where the provider tells what it billed. The token itself never stands here: only its variable's name."""

    kind: _LogKind | None = Field(None, description="What it speaks: one-api.")
    path: _Path | None = Field(None, description="Below the base URL's origin, with its leading /.")
    token_env: _EnvName | None = Field(None, description="The environment variable that holds the account's token.")
    user_env: _EnvName | None = Field(None, description="The one that holds the account's number, where it is wanted.")
    units_per_usd: Whole | None = Field(None, ge=1, le=1_000_000_000, description="The log's units in a US dollar.")


class ProviderKeys(_Written):
    """A provider profile with some of it changed. The key itself never stands here: only its variable's name."""

    profile: ProfileName = Field("apiyi", description="The profile to start from.")
    base_url: _BaseUrl | None = Field(None, description="The API's address, up to and with /v1.")
    host: Text | None = Field(None, description="Another address of the same account, by its name in the profile.")
    api_key_env: _EnvName | None = Field(None, description="The environment variable that holds the key.")
    edits: _EditRoute | None = Field(None, description="How input images travel: json, or multipart (one, as a form).")
    wire: _Word | None = Field(None, description="Where Flux parameters travel in the request's body.")
    answers: _Answers | None = Field(None, description="How pictures are asked to come: url or b64.")
    sizes: _Sizes | None = Field(None, description="How a size is asked for: size, or width_height.")
    ratio_models: _ModelList | None = Field(None, description="Models that take a ratio here instead of a size.")
    codes: dict[str, _Meaning] = Field(
        {}, max_length=MAX_HOSTS, description="What its own error codes mean; added to the profile's."
    )
    rate_per_minute: Whole | None = Field(None, ge=1, le=100_000, description="The most requests started in a minute.")
    window_s: Seconds | None = Field(None, gt=0, le=86_400, description="How long a result's URL lives, in seconds.")
    allow_hosts: _Hosts | None = Field(None, description="Hosts on private addresses that downloads may reach.")
    prices: dict[str, Price] = Field({}, description="US dollars a picture, by model; added to the profile's.")
    credit_factor: Factor | None = Field(None, ge=1, le=10, description="What a dollar paid is credited as.")
    log: LogKeys | None = Field(None, description="Where the provider tells what it billed, for reconcile.")


class NotifyKeys(_Written):
    """Who is told how a run ended, when there is news."""

    webhook: _Webhook | None = Field(None, description="Is sent the run's JSON; https, no credentials, no redirects.")
    webhook_env: _EnvName | None = Field(None, description="The environment variable that holds the webhook's address.")
    command: Texts | None = Field(None, description="A program and its arguments; has the run's JSON on its stdin.")
    on: tuple[_When, ...] = Field(("finish", "trouble"), strict=False, min_length=1, description="When to tell.")


class JobKeys(DefaultsKeys):
    """What a job in the mapping form may say; any of its texts may hold placeholders."""

    prompt: Text = Field(description="What to draw. {word} stands for a variable or column; {{ and }} are braces.")
    repeat: Whole = Field(1, ge=1, le=MAX_REPEAT, description="How many pictures of each; a given seed counts up.")
    vars: _Variables = Field({}, description="Variables; every combination of their values is a job.")
    zip: _Variables = Field({}, description="Variables whose values are paired, first with first; of equal length.")


class RowsKeys(JobKeys):
    """One job a row of a file beside the manifest."""

    rows: Text = Field(description="A .csv, .jsonl or .parquet file, relative to the manifest; its columns are words.")


class TupleKeys(NamedTuple):
    """A job in short: prompt, ratio, model; the last two may be left out."""

    prompt: Text
    ratio: RatioText | None = None
    model: Model | None = None


def job_form(value: Any) -> str:
    """Tell which of the three forms a job is written in, as a tag; empty when none."""
    if isinstance(value, list):
        return "<tuple>"
    if isinstance(value, dict):
        return "<rows>" if "rows" in value else "<job>"
    return ""


def _provider_form(value: Any) -> str:
    if isinstance(value, list):
        return "<list>"
    return "<mapping>" if isinstance(value, dict) else "<name>"


_OneProvider = Annotated[
    Annotated[ProfileName, Tag("<name>")] | Annotated[ProviderKeys, Tag("<mapping>")], Discriminator(_provider_form)
]
_Providers = Annotated[tuple[_OneProvider, ...], Field(strict=False, min_length=1, max_length=MAX_PROVIDERS)]
_Provider = Annotated[
    Annotated[ProfileName, Tag("<name>")]
    | Annotated[ProviderKeys, Tag("<mapping>")]
    | Annotated[_Providers, Tag("<list>")],
    Discriminator(_provider_form),
]
#: Those names, as the checker meets them in a path; nobody wrote them.
PROVIDER_FORMS = frozenset({"<name>", "<mapping>", "<list>"})
_Profiles = Annotated[dict[str, ProviderKeys], Field(max_length=MAX_HOSTS)]
_Job = Annotated[
    Annotated[TupleKeys, Tag("<tuple>")] | Annotated[JobKeys, Tag("<job>")] | Annotated[RowsKeys, Tag("<rows>")],
    Discriminator(job_form),
]


class ManifestHead(_Written):
    """Everything in a manifest but its jobs."""

    version: _Version = Field(description="The version of this format: 1.")
    name: Text | None = Field(None, description="Names the batch; the file's own name when left out.")
    edition: Text = Field("", description="A new edition buys new pictures: '{date}' for a nightly batch.")
    provider: _Provider = Field(
        "apiyi",
        description="A profile's name, a mapping that extends one, or a list: the next serves where one cannot.",
    )
    profiles: _Profiles = Field({}, description="Profiles of your own, by name; each extends another.")
    on_unknown: _OnUnknown = Field(
        "hold", description="What becomes of a lost answer: held for a person, or asked for again, once (retry)."
    )
    limits: LimitsKeys = Field(default_factory=LimitsKeys, description="How much at once, and how much money at most.")
    defaults: DefaultsKeys = Field(
        default_factory=DefaultsKeys, description="What each job has unless it says otherwise."
    )
    output: OutputKeys = Field(default_factory=OutputKeys, description="Where pictures go, inside the output folder.")
    notify: NotifyKeys | None = Field(None, description="Who is told how a run ended, when there is news.")


class ProfilesFile(_Written):
    """The file of profiles beside a user's other settings."""

    profiles: _Profiles = Field(description="Profiles of your own, by name; each extends another.")


class ManifestFile(ManifestHead):
    """A batch of pictures to buy with fluxbatch."""

    model_config = ConfigDict(title="fluxbatch manifest")

    jobs: tuple[_Job, ...] = Field(min_length=1, strict=False, description="The pictures: tuples, mappings or rows.")


_BOUNDS = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}
_LIST_BOUNDS = {"minLength": "minItems", "maxLength": "maxItems"}


class _Schema(GenerateJsonSchema):
    """Leaves out titles that only repeat the key, and null: a key that has nothing to say is left out."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  (the generator's own signature)
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> dict[str, Any]:
        if schema.get("default") is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def generate(self, schema: Any, mode: Any = "validation") -> dict[str, Any]:
        made: dict[str, Any] = _with_bounds(super().generate(schema, mode))
        return made


def _with_bounds(value: Any) -> Any:
    """A schema with every bound under JSON schema's own name, and a list's as a list's.

    Pydantic leaves the bounds of a key that may be left out under its own names, which editors pass over.
    """
    if isinstance(value, list):
        return [_with_bounds(item) for item in value]
    if not isinstance(value, dict):
        return value
    names = _BOUNDS | (_LIST_BOUNDS if value.get("type") == "array" else {})
    return {names.get(name, name): _with_bounds(item) for name, item in value.items()}


def json_schema() -> dict[str, Any]:
    """The JSON schema of a manifest, so that editors complete and check it as it is written."""
    schema = ManifestFile.model_json_schema(schema_generator=_Schema)
    example = {"version": 1, "name": "first", "provider": "simulator", "jobs": [["A quiet harbour at dawn", "3:2"]]}
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema, "examples": [example]}
