"""Pictures that carry their prompt, model, seed and key, where the manifest asks for it."""

import json

import pytest
from PIL import Image

from tests.acceptance.conftest import Simulate
from tests.acceptance.stage import Workspace, assert_proven


@pytest.mark.parametrize("answer", ["url", "b64_json"])
async def test_each_file_says_what_it_is_and_is_proven_as_it_is_kept(
    workspace: Workspace, simulate: Simulate, answer: str
) -> None:
    await simulate(answer=answer)
    jobs = ({"prompt": "A harbour", "seed": 7, "format": "png"}, {"prompt": "A café"})
    manifest = workspace.manifest(*jobs, output={"embed_metadata": True})
    assert (await workspace.run(manifest)).code == 0
    for row in workspace.rows():
        assert_proven(workspace, row)
        with Image.open(workspace.file_of(row)) as image:
            text = image.info.get("fluxbatch") or image.info["comment"].decode().removeprefix("fluxbatch ")
        told = json.loads(text)
        assert told == {"prompt": row.prompt, "model": row.model, "seed": row.seed, "key": row.key}
    assert (await workspace.fluxbatch("ledger", "verify")).code == 0
    assert (await workspace.run(manifest)).json["reused"] == 2
    plain = workspace.manifest(*jobs)
    assert (await workspace.run(plain)).json["reused"] == 2
