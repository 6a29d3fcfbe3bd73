"""A job's identity: the same for what would draw the same picture, another for everything else."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.job import PictureRequest, Stitch, digest_of, job_key
from pipeline.ratio import Ratio

REQUEST = PictureRequest(
    model="flux-kontext-pro",
    prompt="a lighthouse",
    ratio=Ratio(16, 9),
    seed=None,
    output_format="jpeg",
    safety_tolerance=2,
    prompt_upsampling=False,
)


def _key(request: PictureRequest = REQUEST, *, repeat: int = 1, edition: str = "", simulated: bool = False) -> str:
    return job_key(request, repeat=repeat, edition=edition, simulated=simulated)


def test_the_key_is_what_it_was_in_the_first_version() -> None:
    """A key that changes makes every rerun buy everything again."""
    assert _key() == "bb2e6763efb4b27a05b1c06d92b16de4b5dfea55505a61af1082c16ff03067ca"


@pytest.mark.parametrize(
    "change",
    [
        {"model": "flux-kontext-max"},
        {"prompt": "a lighthouse "},
        {"ratio": Ratio(9, 16)},
        {"ratio": None},
        {"seed": 0},
        {"output_format": "png"},
        {"safety_tolerance": 3},
        {"safety_tolerance": None},
        {"prompt_upsampling": True},
        {"prompt_upsampling": None},
        {"inputs": ("ab" * 32,)},
    ],
)
def test_every_part_of_what_is_asked_is_in_the_key(change: dict[str, Any]) -> None:
    assert _key(replace(REQUEST, **change)) != _key()


def test_repeat_edition_and_simulation_are_in_the_key() -> None:
    assert len({_key(), _key(repeat=2), _key(edition="2026-11-23"), _key(simulated=True)}) == 4


def test_with_a_seed_a_repeat_is_the_same_picture() -> None:
    seeded = replace(REQUEST, seed=42)
    assert _key(seeded, repeat=2) == _key(seeded, repeat=1)


def test_equal_ratios_written_differently_are_the_same_picture() -> None:
    assert _key(replace(REQUEST, ratio=Ratio(21, 9))) == _key(replace(REQUEST, ratio=Ratio(7, 3)))


def test_the_order_of_input_images_matters() -> None:
    one, other = "aa" * 32, "bb" * 32
    assert _key(replace(REQUEST, inputs=(one, other))) != _key(replace(REQUEST, inputs=(other, one)))


@pytest.mark.parametrize(
    "change",
    [
        {"background": "#000000"},
        {"stitch": None},
        {"stitch": Stitch(gap=1)},
        {"stitch": Stitch(height=512)},
        {"stitch": Stitch(height="max")},
        {"stitch": Stitch(direction="vertical")},
    ],
)
def test_how_inputs_are_stitched_is_in_the_key(change: dict[str, Any]) -> None:
    edit = replace(REQUEST, inputs=("aa" * 32, "bb" * 32), stitch=Stitch(), background="#ffffff")
    assert _key(replace(edit, **change)) != _key(edit)


def test_a_generations_identity_is_what_it_was_before_there_were_edits() -> None:
    assert "stitch" not in REQUEST.identity()


def test_the_identity_is_plain_json_and_names_every_field() -> None:
    edit = replace(REQUEST, inputs=("aa" * 32,), stitch=Stitch(), background="#ffffff")
    identity = edit.identity()
    assert json.loads(json.dumps(identity)) == identity
    assert set(identity) == set(PictureRequest.__slots__)


@given(st.text(), st.text())
def test_different_prompts_have_different_keys(one: str, other: str) -> None:
    same = _key(replace(REQUEST, prompt=one)) == _key(replace(REQUEST, prompt=other))
    assert same is (one == other)


@given(st.dictionaries(st.text(), st.integers()))
def test_a_digest_does_not_depend_on_the_order_of_keys(value: dict[str, int]) -> None:
    assert digest_of(value) == digest_of(dict(reversed(value.items())))


def test_text_that_is_not_unicode_still_has_a_digest() -> None:
    assert len(digest_of("\ud800")) == 64
