"""Result links: signed, dying, and kept no longer than they live."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from pipeline.simulator.drawing import Recipe
from pipeline.simulator.gallery import Exhibit, Gallery
from pipeline.simulator.links import LinkSigner

NOW = 1_800_000_000.25


class FakeClock:
    def __init__(self) -> None:
        self.now_s = NOW

    def __call__(self) -> float:
        return self.now_s


def query_of(link: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(link).query))


def exhibit(prompt: str = "a") -> Exhibit:
    recipe = Recipe(
        model="m",
        prompt=prompt,
        ratio="1:1",
        seed=1,
        safety_tolerance=2,
        prompt_upsampling=False,
        width=128,
        height=128,
        image_format="jpeg",
    )
    return Exhibit(recipe=recipe, content_type="image/jpeg", markers=())


def id_of(link: str) -> str:
    return link.split("/")[2]


def test_a_link_says_when_it_dies() -> None:
    link = LinkSigner(b"secret", window_s=600).sign("ab", "jpeg", now=NOW)
    assert urlsplit(link).path == "/delivery/ab/sample.jpeg"
    assert query_of(link)["se"] == "2027-01-15T08:10:00Z"


def test_a_short_window_is_told_to_the_millisecond() -> None:
    link = LinkSigner(b"secret", window_s=0.5).sign("ab", "jpeg", now=NOW)
    assert query_of(link)["se"] == "2027-01-15T08:00:00.750Z"


@pytest.mark.parametrize(("after_s", "verdict"), [(0, "alive"), (599, "alive"), (600, "expired"), (9999, "expired")])
def test_a_link_dies_after_its_window(after_s: float, verdict: str) -> None:
    signer = LinkSigner(b"secret", window_s=600)
    assert signer.check("ab", query_of(signer.sign("ab", "png", now=NOW)), now=NOW + after_s) == verdict


def test_a_later_expiry_is_forged() -> None:
    signer = LinkSigner(b"secret", window_s=600)
    query = query_of(signer.sign("ab", "png", now=NOW)) | {"se": "2099-01-01T00:00:00Z"}
    assert signer.check("ab", query, now=NOW) == "forged"


def test_another_picture_is_forged() -> None:
    signer = LinkSigner(b"secret", window_s=600)
    assert signer.check("cd", query_of(signer.sign("ab", "png", now=NOW)), now=NOW) == "forged"


@pytest.mark.parametrize("query", [{}, {"sig": "x"}, {"se": "\udcff", "sig": "\udcff"}])
def test_a_link_without_a_signature_is_forged(query: dict[str, str]) -> None:
    assert LinkSigner(b"secret", window_s=600).check("ab", query, now=NOW) == "forged"


def test_another_secret_is_forged() -> None:
    query = query_of(LinkSigner(b"one", window_s=600).sign("ab", "png", now=NOW))
    assert LinkSigner(b"two", window_s=600).check("ab", query, now=NOW) == "forged"


def test_a_gallery_finds_what_it_hung() -> None:
    gallery = Gallery(LinkSigner(b"s", window_s=60), window_s=60, wall=FakeClock())
    assert gallery.find(id_of(gallery.hang(exhibit("b")))) == exhibit("b")


def test_a_gallery_does_not_find_what_it_never_had() -> None:
    assert Gallery(LinkSigner(b"s", window_s=60), window_s=60, wall=FakeClock()).find("ab") is None


def test_a_gallery_forgets_what_is_dead() -> None:
    clock = FakeClock()
    gallery = Gallery(LinkSigner(b"s", window_s=60), window_s=60, wall=clock)
    gallery.hang(exhibit())
    gallery.hang(exhibit())
    clock.now_s += 60
    gallery.hang(exhibit())
    assert len(gallery) == 1


def test_a_gallery_never_holds_more_than_its_capacity() -> None:
    gallery = Gallery(LinkSigner(b"s", window_s=60), window_s=60, wall=FakeClock(), capacity=2)
    links = [gallery.hang(exhibit()) for _ in range(3)]
    assert [gallery.find(id_of(link)) is None for link in links] == [True, False, False]
