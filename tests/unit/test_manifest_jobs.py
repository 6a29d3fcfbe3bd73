"""Jobs from tuples, mappings, variables and repeats."""

from pathlib import Path

import pytest

from pipeline.catalog import models
from pipeline.job import PictureRequest, job_key
from pipeline.manifest.complaints import UnfitError
from pipeline.manifest.reading import reader
from pipeline.manifest.recipe import Offer, Recipe
from pipeline.manifest.variables import combine
from pipeline.ratio import Ratio
from tests.unit.manifest_writing import HEAD, load_jobs, made, only_problem, problems

BIG = 9_223_372_036_854_775_807


def test_a_tuple_gives_prompt_ratio_and_model(tmp_path: Path) -> None:
    request = made(load_jobs(tmp_path, "  - [a cat, 21:9, flux-kontext-max]\n"))[0].request
    assert request == PictureRequest(
        model="flux-kontext-max",
        prompt="a cat",
        ratio=Ratio(21, 9),
        safety_tolerance=2,
        prompt_upsampling=False,
    )


def test_the_key_is_the_jobs_identity(tmp_path: Path) -> None:
    job = made(load_jobs(tmp_path, "  - [a cat]\n"))[0]
    assert job.key == job_key(job.request, repeat=1, edition="", simulated=True)


def test_each_iteration_is_fresh(tmp_path: Path) -> None:
    manifest = load_jobs(tmp_path, "  - [a cat]\n  - [a dog]\n")
    assert made(manifest) == made(manifest)


def test_a_job_says_more_than_the_defaults(tmp_path: Path) -> None:
    head = HEAD + "defaults: {model: flux-kontext-max, ratio: 3:2, format: png, safety_tolerance: 5, seed: 1}\n"
    one, two = made(load_jobs(tmp_path, "  - [a]\n  - {prompt: b, use: app_icon, format: jpeg, seed: 0}\n", head))
    assert (one.request.model, str(one.request.ratio), one.request.output_format) == ("flux-kontext-max", "3:2", "png")
    assert (one.request.seed, one.request.safety_tolerance) == (1, 5)
    assert (str(two.request.ratio), two.request.output_format, two.request.seed) == ("1:1", "jpeg", 0)


def test_a_use_in_the_defaults_gives_way_to_a_ratio(tmp_path: Path) -> None:
    head = HEAD + "defaults: {use: mobile_wallpaper}\noutput: {file: '{index}{use}'}\n"
    jobs = made(load_jobs(tmp_path, "  - [a]\n  - [b, 3:2]\n", head))
    assert [str(job.request.ratio) for job in jobs] == ["9:16", "3:2"]
    assert [job.path for job in jobs] == ["test/1mobile_wallpaper", "test/2"]


def test_variables_make_every_combination_and_keep_their_text(tmp_path: Path) -> None:
    jobs = "  - prompt: '{a} {b}'\n    vars: {a: [1.10, no], b: [16:9, 'x {y}', true]}\n"
    prompts = [job.request.prompt for job in made(load_jobs(tmp_path, jobs))]
    assert prompts == ["1.10 16:9", "1.10 x {y}", "1.10 true", "no 16:9", "no x {y}", "no true"]


def test_zip_pairs_and_crosses_with_vars(tmp_path: Path) -> None:
    jobs = "  - prompt: '{a}{b}{c}'\n    vars: {a: [1, 2]}\n    zip: {b: [x, y], c: [p, q]}\n"
    assert [job.request.prompt for job in made(load_jobs(tmp_path, jobs))] == ["1xp", "1yq", "2xp", "2yq"]


def test_every_key_may_be_a_template(tmp_path: Path) -> None:
    jobs = (
        "  - prompt: a\n    model: flux-kontext-{m}\n    use: '{u}'\n    seed: '{s}'\n    format: '{f}'\n"
        "    safety_tolerance: '{t}'\n    prompt_upsampling: '{p}'\n"
        "    zip: {m: [max, pro], u: [app_icon, ''], s: [5, ''], f: [png, ''], t: [0, ''], p: [TRUE, '']}\n"
    )
    one, two = (job.request for job in made(load_jobs(tmp_path, jobs)))
    assert (one.model, one.ratio, one.seed, one.output_format) == ("flux-kontext-max", Ratio(1, 1), 5, "png")
    assert (one.safety_tolerance, one.prompt_upsampling) == (0, True)
    assert (two.seed, two.output_format, two.safety_tolerance, two.prompt_upsampling) == (None, "jpeg", 2, False)


def test_braces_doubled_stand_for_themselves_in_every_form(tmp_path: Path) -> None:
    jobs = "  - ['a {{b}}']\n  - {prompt: 'a {{b}}', seed: 1}\n"
    assert {job.request.prompt for job in made(load_jobs(tmp_path, jobs))} == {"a {b}"}


def test_repeats_without_a_seed_have_keys_of_their_own(tmp_path: Path) -> None:
    jobs = made(load_jobs(tmp_path, "  - {prompt: a, repeat: 3}\n"))
    assert [job.repeat for job in jobs] == [1, 2, 3]
    assert len({job.key for job in jobs}) == 3
    assert {job.request.seed for job in jobs} == {None}


def test_repeats_with_a_seed_count_up(tmp_path: Path) -> None:
    jobs = made(load_jobs(tmp_path, f"  - {{prompt: a, repeat: 3, seed: {BIG - 2}}}\n"))
    assert [job.request.seed for job in jobs] == [BIG - 2, BIG - 1, BIG]


def test_a_seed_that_counts_past_the_maximum_is_a_problem(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, f"{HEAD}jobs:\n  - {{prompt: a, repeat: 4, seed: {BIG - 2}}}\n")
    assert problem.path == "jobs[0].seed"
    assert "counts up 4 times" in problem.message


@pytest.mark.parametrize(
    ("job", "path", "message"),
    [
        ("{prompt: ''}", "prompt", "is empty"),
        ('{prompt: "a\\0b"}', "prompt", "U+0000"),
        ("{ratio: 1:1}", "prompt", "is missing"),
        ("{prompt: a, ratio: 1:1, use: app_icon}", "use", "stands beside ratio"),
        ("{prompt: a, ratio: app_icon}", "ratio", "is not a ratio"),
        ("{prompt: a, ratio: 969}", "ratio", "is not a ratio"),
        ("{prompt: a, use: app_icn}", "use", "no use named 'app_icn'"),
        ("{prompt: a, model: ''}", "model", "no model named ''"),
        ("{prompt: a, seed: 9223372036854775808}", "seed", "outside"),
        ("{prompt: a, seed: 1.0}", "seed", "must be a whole number"),
        ("{prompt: a, safety_tolerance: -1}", "safety_tolerance", "outside 0 to 6"),
        ("{prompt: a, format: jpg}", "format", "no format named 'jpg'"),
        ("{prompt: a, repeat: 1001}", "repeat", "at most 1000"),
        ("{prompt: a, repeat: 0}", "repeat", "at least 1"),
        ("{prompt: '{b}'}", "prompt", "no variable named 'b'"),
        ("{prompt: '{b:05}'}", "prompt", "no variable named 'b'"),
        ("{prompt: 'a {b'}", "prompt", "stands alone"),
        ("{prompt: a, vars: {b: [c]}}", "vars.b", "nothing uses this variable"),
        ("{prompt: a, zip: {b: [c]}}", "zip.b", "nothing uses this variable"),
        ("{prompt: '{b}{e}', vars: {}, zip: {b: [c, d], e: [f]}}", "zip", "b has 2, e has 1"),
        ("{prompt: '{b}', vars: {b: [c]}, zip: {b: [c]}}", "zip.b", "is given in vars, too"),
        ("{prompt: '{b}', vars: {b c: [c]}}", "vars.b c", "cannot be a variable's name"),
        ("{prompt: '{b}', vars: {b: ['']}}", "prompt", "is empty"),
        ("{prompt: a, ratio: '{b}', vars: {b: [1:1, 99:1]}}", "ratio", "99:1 is outside"),
        ("{prompt: a, seed: '{b}', vars: {b: [x]}}", "seed", "'x' is not a whole number"),
        ("{prompt: a, prompt_upsampling: '{b}', vars: {b: [yes]}}", "prompt_upsampling", "neither true nor false"),
    ],
)
def test_what_makes_no_picture_is_a_problem_at_its_key(tmp_path: Path, job: str, path: str, message: str) -> None:
    problem = only_problem(tmp_path, f"{HEAD}jobs:\n  - {job}\n")
    assert problem.path == f"jobs[0].{path}"
    assert message in problem.message
    assert problem.line == 5


def test_a_named_use_as_a_ratio_says_where_it_goes(tmp_path: Path) -> None:
    hint = only_problem(tmp_path, f"{HEAD}jobs:\n  - [a, app_icon]\n").hint
    assert hint == "a named ratio goes in 'use: app_icon'"


def test_a_very_long_ratio_is_not_shown_whole(tmp_path: Path) -> None:
    assert len(str(only_problem(tmp_path, f"{HEAD}jobs:\n  - [a, '{'9' * 10_000}']\n"))) < 400


def test_all_problems_of_one_job_are_shown(tmp_path: Path) -> None:
    job = "{prompt: '{b}', ratio: '{b}', seed: '{b}', model: '{m}', vars: {b: [''], m: [x, flux-kontext-pro]}}"
    found = problems(tmp_path, f"{HEAD}jobs:\n  - {job}\n  - {{prompt: '{{b}}', seed: '{{c}}', vars: {{c: [x]}}}}\n")
    assert {problem.path for problem in found} == {
        "jobs[0].prompt", "jobs[0].model", "jobs[1].prompt", "jobs[1].seed",
    }  # fmt: skip
    both = "{prompt: a, ratio: '{b}', seed: '{b}', model: x, vars: {b: [y]}}"
    assert len(problems(tmp_path, f"{HEAD}jobs:\n  - {both}\n")) == 3


def test_a_variable_used_only_in_a_name_is_used(tmp_path: Path) -> None:
    head = HEAD + "output: {file: '{who}-{index}'}\n"
    jobs = made(load_jobs(tmp_path, "  - {prompt: a, vars: {who: [x/y]}}\n  - [b]\n", head))
    assert [job.path for job in jobs] == ["test/x-y-1", "test/-2"]


def test_too_many_combinations_are_refused() -> None:
    with pytest.raises(UnfitError, match="1,000,000 combinations"):
        combine(dict.fromkeys("abc", ("x",) * 100), {})


def test_a_model_without_a_price_says_how_to_state_it() -> None:
    offer = Offer(provider="apiyi", models=models(), prices={"flux-kontext-pro": 35_000})
    with pytest.raises(UnfitError, match="no price is known for flux-kontext-max at apiyi") as caught:
        offer.spec("flux-kontext-max")
    told = "state what a picture costs there: provider: {profile: apiyi, prices: {flux-kontext-max: USD}}"
    assert caught.value.hint == told, "and no figure that somebody might copy"


PLAIN = models()["flux-kontext-pro"]
BARE = PLAIN.model_copy(
    update={
        "id": "bare",
        "parameters": PLAIN.parameters.model_copy(
            update={"ratio": None, "seed": None, "safety_tolerance": None, "prompt_upsampling": None}
        ),
    }
)


def recipe(**written: object) -> Recipe:
    given = {key: reader(key, value, (), ()) for key, value in {"prompt": "a", **written}.items()}
    return Recipe(given, {}, Offer(provider="p", models={"bare": BARE}, prices={"bare": 1}))


def test_a_model_is_sent_only_what_it_takes() -> None:
    request, use = recipe().picture(())
    assert (request.ratio, request.seed, request.safety_tolerance, request.prompt_upsampling) == (
        None,
        None,
        None,
        None,
    )
    assert (request.model, use) == ("bare", "")


@pytest.mark.parametrize(
    ("key", "value"),
    [("ratio", "1:1"), ("use", "app_icon"), ("seed", 1), ("safety_tolerance", 1), ("prompt_upsampling", False)],
)
def test_a_parameter_that_a_model_does_not_take_is_refused(key: str, value: object) -> None:
    with pytest.raises(UnfitError, match=f"bare does not take {key}") as caught:
        recipe(**{key: value}).picture(())
    assert caught.value.key == key
