"""What a run came to: the contract's object, and the same for people."""

import json
import shlex

import pytest

from pipeline.errors import ExitCode
from pipeline.report import SHOWN_TROUBLES, combined, to_json
from tests.unit.report_samples import summary

COUNTS = ("stored", "reused", "failed", "unknown", "lost", "spoiled", "skipped")


def test_the_object_has_exactly_the_contracts_keys() -> None:
    assert list(summary().as_json()) == [
        "run_id",
        "manifest",
        "edition",
        "jobs",
        *COUNTS,
        "spend_usd",
        "unknown_usd",
        "manifest_spend_usd",
        "manifest_unknown_usd",
        "budget_usd",
        "providers",
        "elapsed_s",
        "url_age_max_s",
        "exit_code",
        "ledger",
        "output",
    ]


def test_the_object_says_what_happened() -> None:
    found = summary(
        edition="2026-11-23", failed=1, reused=1, unknown=1, unknown_microusd=35_000, exit_code=ExitCode.MONEY_UNCLEAR
    ).as_json()

    assert found == {
        "run_id": "20261123T020000-abcdef",
        "manifest": "spring",
        "edition": "2026-11-23",
        "jobs": 11,
        "stored": 8,
        "reused": 1,
        "failed": 1,
        "unknown": 1,
        "lost": 0,
        "spoiled": 0,
        "skipped": 0,
        "spend_usd": "0.280",
        "unknown_usd": "0.035",
        "manifest_spend_usd": "0.315",
        "manifest_unknown_usd": "0.000",
        "budget_usd": "5.00",
        "providers": {"apiyi": {"pictures": 8, "spend_usd": "0.280"}},
        "elapsed_s": 12.3,
        "url_age_max_s": 1.9,
        "exit_code": 5,
        "ledger": "output/ledger.db",
        "output": "output",
    }


@pytest.mark.parametrize("name", COUNTS)
def test_jobs_is_the_sum_of_the_seven(name: str) -> None:
    found = summary(**{"stored": 0, name: 3}).as_json()

    assert found["jobs"] == found[name] == 3


def test_what_there_is_none_of_is_null() -> None:
    found = summary(budget_microusd=None, url_age_max_s=None).as_json()

    assert found["budget_usd"] is found["url_age_max_s"] is None


def test_seconds_have_three_decimals() -> None:
    found = summary(elapsed_s=1.23456, url_age_max_s=2.34567).as_json()

    assert (found["elapsed_s"], found["url_age_max_s"]) == (1.235, 2.346)


def test_json_is_one_readable_line() -> None:
    written = to_json(summary(manifest="frühling").as_json())

    assert "\n" not in written
    assert "frühling" in written
    assert json.loads(written)["manifest"] == "frühling"


def test_one_summary_is_its_own_object() -> None:
    assert combined([summary()]) == summary().as_json()


def test_one_of_several_that_were_asked_for_has_its_object_in_runs() -> None:
    assert combined([summary()], several=True)["runs"] == [summary().as_json()]


def test_several_summaries_are_added_up_and_each_is_kept() -> None:
    first = summary(elapsed_s=0.1, budget_microusd=1_000_000)
    second = summary(
        run_id="other",
        manifest="autumn",
        stored=2,
        failed=1,
        spend_microusd=70_000,
        elapsed_s=0.2,
        url_age_max_s=9.5,
        exit_code=ExitCode.SOME_FAILED,
    )

    found = combined([first, second])

    assert list(found) == [*first.as_json(), "runs"]
    assert found["runs"] == [first.as_json(), second.as_json()]
    assert (found["run_id"], found["manifest"]) == ("20261123T020000-abcdef, other", "spring, autumn")
    assert (found["jobs"], found["stored"], found["failed"]) == (11, 10, 1)
    assert (found["spend_usd"], found["budget_usd"]) == ("0.350", "6.00")
    assert (found["elapsed_s"], found["url_age_max_s"]) == (0.3, 9.5)
    assert (found["exit_code"], found["ledger"]) == (3, "output/ledger.db")


def test_the_whole_has_a_budget_only_where_each_has_one() -> None:
    found = combined([summary(url_age_max_s=None), summary(budget_microusd=None, url_age_max_s=None)])

    assert found["budget_usd"] is found["url_age_max_s"] is None


def test_the_most_serious_exit_code_is_the_wholes() -> None:
    codes = (ExitCode.SOME_FAILED, ExitCode.MONEY_UNCLEAR, ExitCode.BUDGET)

    assert combined([summary(exit_code=code) for code in codes])["exit_code"] == 5


# --- for people --------------------------------------------------------------------------------------------------


def test_a_run_that_went_well() -> None:
    assert summary().lines() == [
        "spring: 8 stored, in 12.3 s",
        "Spent $0.280; $0.315 of this manifest's $5.00 budget is used",
        "Pictures are in output; the oldest URL was 1.9 s old when stored",
        "To prove every picture and every sum again: fluxbatch ledger verify",
    ]


def test_a_run_with_nothing_to_do() -> None:
    assert summary(stored=0, spend_microusd=0, budget_microusd=None).lines() == [
        "spring: nothing to do, in 12.3 s",
        "Spent $0.000",
        "To prove every picture and every sum again: fluxbatch ledger verify",
    ]


def test_every_count_is_told_in_words() -> None:
    told = summary(
        edition="2026-11-23", stored=1_234, reused=2, failed=3, unknown=4, lost=5, spoiled=6, skipped=7
    ).lines()[0]

    assert told == (
        "spring / 2026-11-23: 1,234 stored, 2 kept from before, 3 failed, 4 unknown, 5 paid and not fetched,"
        " 6 paid and spoiled, 7 not bought, in 12.3 s"
    )


@pytest.mark.parametrize(
    ("elapsed_s", "told"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (61.0, "1 min 01 s"), (3_723.0, "1 h 02 min")]
)
def test_how_long_it_took(elapsed_s: float, told: str) -> None:
    assert summary(elapsed_s=elapsed_s).lines()[0].endswith(f"in {told}")


def test_make_believe_money_is_called_so() -> None:
    assert summary(simulated=True, budget_microusd=None).lines()[1] == "Spent $0.280 of make-believe money (simulator)"


def test_unknown_money_is_told_and_counted() -> None:
    made = summary(unknown=1, unknown_microusd=35_000, manifest_unknown_microusd=35_000)

    assert made.lines()[1] == (
        "Spent $0.280, and at most $0.035 more is unknown; $0.350 of this manifest's $5.00 budget is used"
    )


def test_notes_and_troubles_come_before_the_advice() -> None:
    made = summary(failed=1, notes=("Stopped: no money",), troubles=("row 3 (a cat): failed: moderated",))

    assert made.lines()[3:5] == ["Stopped: no money", "  row 3 (a cat): failed: moderated"]


def test_only_the_first_troubles_are_told_and_where_the_others_are() -> None:
    told = summary(failed=11, troubles=tuple(f"row {number}: no" for number in range(1, 12))).lines()

    assert "  row 10: no" in told
    assert "  row 11: no" not in told
    assert told[3 + SHOWN_TROUBLES] == ("  and more: fluxbatch ledger export --format csv --ledger output/ledger.db")


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({"failed": 1}, "fluxbatch run jobs/spring.yaml --retry-failed"),
        ({"unknown": 1}, "fluxbatch run jobs/spring.yaml --resend-unknown"),
        ({"lost": 1, "unfetched": 1}, "fluxbatch run jobs/spring.yaml"),
        ({"lost": 2, "unfetched": 1}, "fluxbatch run jobs/spring.yaml --rebuy-lost"),
        ({"spoiled": 1}, "fluxbatch run jobs/spring.yaml --rebuy-lost"),
        ({"wrong_shape": 1}, "fluxbatch ledger export --format csv --ledger output/ledger.db"),
        ({"skipped": 1, "exit_code": ExitCode.TEMPORARY}, "fluxbatch run jobs/spring.yaml"),
        ({"skipped": 1, "exit_code": ExitCode.BUDGET}, "fluxbatch run jobs/spring.yaml"),
    ],
)
def test_it_ends_with_the_next_useful_command(changes: dict[str, int], command: str) -> None:
    assert summary(**changes).lines()[-1].endswith(f": {command}")


def test_what_can_still_be_fetched_is_told_first_because_it_is_urgent() -> None:
    advice = summary(lost=2, unfetched=2, failed=1).lines()[3]

    assert advice == "2 paid pictures can still be fetched; run again now: fluxbatch run jobs/spring.yaml"


def test_after_the_budgets_end_running_again_needs_what_that_budget_needs() -> None:
    """It said --budget, whichever budget it was, and the next run stopped at the same cap."""
    stopped = {"skipped": 1, "causes": (ExitCode.BUDGET,), "own_budget": True, "words": " --limit 3"}
    advice = summary(**stopped, needs="a larger daily_usd in the manifest, or another day").lines()[-1]

    assert advice == (
        "The rest needs a larger daily_usd in the manifest, or another day;"
        " then: fluxbatch run jobs/spring.yaml --limit 3"
    )


def test_a_row_that_does_not_fit_is_corrected_and_not_asked_again() -> None:
    advice = summary(failed=2, unfit=2).lines()

    assert advice[-1] == "Rows that do not fit must be corrected in their file; they are bought then"
    assert not [line for line in advice if "--retry-failed" in line]


@pytest.mark.parametrize(
    ("cause", "says"),
    [
        (ExitCode.ACCOUNT, "When the key is right and the account has money: "),
        (ExitCode.UNAVAILABLE, "When the provider serves again: "),
        (ExitCode.TEMPORARY, "The rest is bought by running again: "),
    ],
)
def test_what_was_not_bought_waits_for_what_kept_it_from_being_bought(cause: ExitCode, says: str) -> None:
    advice = summary(skipped=1, unknown=1, causes=(cause,)).lines()

    assert advice[-1] == says + "fluxbatch run jobs/spring.yaml"
    assert advice[-2].startswith("Answers were lost")


def test_the_next_command_keeps_within_the_budget_and_the_limit_that_were_given() -> None:
    advice = summary(unknown=1, budget_microusd=80_000, own_budget=True, words=" --limit 2").lines()[-1]

    assert advice.endswith("fluxbatch run jobs/spring.yaml --budget 0.08 --limit 2 --resend-unknown")


def test_what_failed_for_a_passing_reason_needs_no_word() -> None:
    advice = summary(failed=2, passing=2).lines()[-1]

    assert advice == "The rest is bought by running again: fluxbatch run jobs/spring.yaml"


def test_a_loss_that_a_person_has_accepted_needs_no_advice() -> None:
    assert not [line for line in summary(lost=1, spoiled=1, settled=2).lines() if "--rebuy-lost" in line]


@pytest.mark.parametrize(
    ("output", "ledger", "words"),
    [
        ("output", "output/ledger.db", []),
        ("out", "out/ledger.db", ["--output", "out"]),
        ("output", "/srv/l.db", ["--ledger", "/srv/l.db"]),
        ("my pictures", "/srv/l.db", ["--output", "my pictures", "--ledger", "/srv/l.db"]),
    ],
)
def test_the_next_command_leads_to_the_same_folder_and_ledger(output: str, ledger: str, words: list[str]) -> None:
    """Without them it would buy everything anew."""
    advice = summary(skipped=1, output=output, ledger=ledger, manifest_path="my jobs.yaml").lines()[-1]

    assert shlex.split(advice.partition("again: ")[2]) == ["fluxbatch", "run", "my jobs.yaml", *words]


def test_several_runs_add_up_what_each_provider_was_paid() -> None:
    told = combined([summary(), summary(providers={"apiyi": (1, 35_000), "bfl": (2, 80_000)})])
    assert told["providers"] == {
        "apiyi": {"pictures": 9, "spend_usd": "0.315"},
        "bfl": {"pictures": 2, "spend_usd": "0.080"},
    }
