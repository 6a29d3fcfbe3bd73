"""``/metrics`` of the live page on a real socket: who may scrape it, and what is told, as Prometheus reads it."""

import re
from pathlib import Path

import aiohttp
import anyio
import pytest
from aiohttp import web
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from pipeline.cli.watching import _kept_token
from pipeline.errors import ConfigurationError, OutputError
from pipeline.ledger import Caps, JobState, Scope
from pipeline.report import metrics
from pipeline.report.page import Places
from pipeline.watch import Feed, Watching
from tests.contract.ledger_scene import Scene, opened
from tests.integration.test_watch_server import PATIENCE_S, Stage, served

Samples = dict[tuple[str, str, str], float]


def samples(text: str) -> Samples:
    """Every sample by its name, manifest and state."""
    return {
        (sample.name, sample.labels["manifest"], sample.labels.get("state", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scraped(stage: Stage, **headers: str) -> Samples:
    """What a scraper reads that is set up as the README says."""
    async with scrape(stage, authorization=f"Bearer {token_of(stage)}", **headers) as answer:
        assert answer.status == 200, await answer.text()
        return samples(await answer.text())


def scrape(stage: Stage, **headers: str) -> "aiohttp.client._RequestContextManager":
    return stage.client.get(f"{stage.origin}/metrics", headers=headers)


def token_of(stage: Stage) -> str:
    return stage.url().parts[1]


async def ended(scene: Scene, *, code: int = 0) -> None:
    run = await scene.begin(caps=Caps(batch=5_000_000))
    await scene.bring_to(JobState.STORED, run, scene.job("a", index=1))
    await scene.bring_to(JobState.FAILED, run, scene.job("b", index=2))
    await scene.bring_to(JobState.UNKNOWN, run, scene.job("c", index=3))
    await scene.bring_to(JobState.LOST, run, scene.job("d", index=4))
    await scene.bring_to(JobState.PLANNED, run, scene.job("e", index=5))
    scene.clock.at += 12
    await scene.writer.end(run, exit_code=code)


async def test_an_ended_run_is_told_as_in_the_metrics_file(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        await ended(scene, code=5)
        async with served(tmp_path, clock=scene.clock) as stage:
            told = await scraped(stage)
        assert told.pop(("fluxbatch_run_end_timestamp_seconds", "poster", "")) == scene.clock.at
    jobs = {"stored": 1, "reused": 0, "failed": 1, "unknown": 1, "lost": 1, "spoiled": 0, "skipped": 1}
    assert told == {
        ("fluxbatch_run_exit_code", "poster", ""): 5,
        ("fluxbatch_run_duration_seconds", "poster", ""): 12,
        ("fluxbatch_run_spend_dollars", "poster", ""): 0.07,
        ("fluxbatch_run_unknown_dollars", "poster", ""): 0.035,
        ("fluxbatch_run_url_age_max_seconds", "poster", ""): 1.25,
        ("fluxbatch_manifest_spend_dollars", "poster", ""): 0.07,
        ("fluxbatch_manifest_unknown_dollars", "poster", ""): 0.035,
        ("fluxbatch_manifest_budget_dollars", "poster", ""): 5,
        **{("fluxbatch_run_jobs", "poster", state): number for state, number in jobs.items()},
    }
    assert {name.removeprefix("fluxbatch_") for name, _, _ in told} < {*metrics._GAUGES, "run_jobs"}


async def test_a_run_that_is_on_is_told_as_it_stands_and_its_end_is_the_last_one_s(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        await ended(scene, code=3)
        over = scene.clock.at
        run = await scene.begin()
        scene.clock.at += 30
        for index, state in enumerate((JobState.STORED, JobState.BUYING, JobState.BOUGHT, JobState.UNKNOWN), start=11):
            await scene.bring_to(state, run, scene.job(f"picture {index}", index=index))
        await scene.see(run, scene.job("next", index=15))
        async with served(tmp_path, clock=scene.clock) as stage:
            told = await scraped(stage)
            assert told["fluxbatch_run_exit_code", "poster", ""] == 3
            assert told["fluxbatch_run_end_timestamp_seconds", "poster", ""] == over
            assert told["fluxbatch_run_duration_seconds", "poster", ""] == 30
            assert told["fluxbatch_run_unknown_dollars", "poster", ""] == 0.07  # the awaited answer's, too
            jobs = {state: number for (name, _, state), number in told.items() if name == "fluxbatch_run_jobs"}
            assert {state: number for state, number in jobs.items() if number} == {
                "stored": 1, "buying": 1, "bought": 1, "unknown": 1, "planned": 1,
            }  # fmt: skip
            assert "fluxbatch_manifest_budget_dollars" not in {name for name, _, _ in told}


async def test_a_run_that_died_has_no_end_and_no_code(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        await ended(scene)
        run = await scene.begin()
        await scene.bring_to(JobState.BUYING, run, scene.job("f", index=6))
    async with served(tmp_path) as stage:
        told = await scraped(stage)
    names = {name for name, _, _ in told}
    assert names.isdisjoint({f"fluxbatch_run_{x}" for x in ("exit_code", "end_timestamp_seconds", "duration_seconds")})
    assert told["fluxbatch_run_jobs", "poster", "unknown"] == 1


async def test_each_manifest_has_samples_of_its_last_run(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene:
        for manifest, code in (("spring", 3), ("autumn", 4), ("spring", 0)):
            await scene.writer.end(await scene.begin(manifest=manifest, edition=str(code)), exit_code=code)
        async with served(tmp_path) as stage:
            told = await scraped(stage)
    codes = {manifest: value for (name, manifest, _), value in told.items() if name == "fluxbatch_run_exit_code"}
    assert codes == {"spring": 0, "autumn": 4}


async def test_it_is_asked_anew_each_time(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene, served(tmp_path) as stage:
        assert await scraped(stage) == {}
        await ended(scene)
        assert ("fluxbatch_run_exit_code", "poster", "") in await scraped(stage)


async def test_the_content_type_is_what_the_scraper_asks_for(tmp_path: Path) -> None:
    async with opened(tmp_path) as scene, served(tmp_path) as stage:
        await ended(scene)
        bearer = {"authorization": f"Bearer {token_of(stage)}"}
        async with scrape(stage, **bearer) as answer:
            assert re.fullmatch(r"text/plain; version=[01]\.0\.[04]; charset=utf-8", answer.headers["Content-Type"])
            assert answer.headers["Cache-Control"] == "no-store"
        async with scrape(
            stage, **bearer, accept="application/openmetrics-text;version=1.0.0;q=0.6,*/*;q=0.1"
        ) as answer:
            assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
            families = list(openmetrics_families(await answer.text()))  # type: ignore[no-untyped-call]
            assert "fluxbatch_run_exit_code" in {family.name for family in families}


async def test_the_token_opens_it_in_the_path_or_in_a_header_and_nothing_else_does(tmp_path: Path) -> None:
    async with opened(tmp_path), served(tmp_path) as stage:
        token = token_of(stage)
        assert await stage.status("metrics") == 200
        for scheme in ("Bearer", "bearer"):
            async with scrape(stage, authorization=f"{scheme} {token}") as answer:
                assert answer.status == 200
        bad = ("", "Bearer", "Bearer ", f"Bearer {token}x", f"Bearer {token[:-1]}", token, f"Basic {token}")
        for given in bad:
            async with scrape(stage, authorization=given) as answer:
                assert (answer.status, "fluxbatch" in await answer.text()) == (404, False), given
        async with scrape(stage) as answer:
            assert answer.status == 404
        async with stage.client.get(f"{stage.origin}/", headers={"Authorization": f"Bearer {token}"}) as answer:
            assert answer.status == 404  # the header opens the metrics, and not the page


async def test_hosts_origins_and_methods_are_held_as_on_the_page(tmp_path: Path) -> None:
    async with opened(tmp_path), served(tmp_path) as stage:
        bearer = {"authorization": f"Bearer {token_of(stage)}"}
        for refused in ({"host": "evil.example"}, {"origin": "http://evil.example"}, {"origin": "null"}):
            async with scrape(stage, **bearer, **refused) as answer:
                assert answer.status == 403, refused
        for method in ("POST", "PUT", "HEAD", "OPTIONS"):
            headers = {**bearer, "Origin": stage.origin}
            async with stage.client.request(method, f"{stage.origin}/metrics", headers=headers) as answer:
                assert answer.status in {404, 405}, method


async def test_without_a_ledger_a_scrape_fails_and_tells_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as stage:
        assert await stage.status("metrics") == web.HTTPServiceUnavailable.status_code


async def test_a_token_in_a_file_is_the_address_s_the_next_time_too(tmp_path: Path) -> None:
    file, output = tmp_path / "token", tmp_path / "output"
    output.mkdir()
    token = _kept_token(file)
    assert (len(token) >= 32, file.stat().st_mode & 0o777) == (True, 0o600)
    assert _kept_token(file) == token == file.read_text(encoding="ascii").strip()
    feed = Feed(Places(output / "ledger.db", output, output / "report.html"), Scope())
    with anyio.fail_after(PATIENCE_S):
        async with Watching(feed, stop=lambda: False, token=token) as page:
            assert f"/{token}/" in page.address


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [
        ("x" * 40, 0o644, "others than its owner may use it"),
        ("short", 0o600, "holds no token"),
        ("a/b" * 20, 0o600, "holds no token"),
        ("", 0o600, "is empty"),
    ],
)
def test_a_bad_token_file_is_refused_and_not_shown(tmp_path: Path, text: str, mode: int, told: str) -> None:
    file = tmp_path / "token"
    file.write_text(text, encoding="ascii")
    file.chmod(mode)
    with pytest.raises(ConfigurationError, match=told) as caught:
        _kept_token(file)
    assert not text or text not in str(caught.value)


def test_a_token_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="the token cannot be written"):
        _kept_token(tmp_path / "nowhere" / "token")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises((OutputError, ConfigurationError)):
        _kept_token(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()
