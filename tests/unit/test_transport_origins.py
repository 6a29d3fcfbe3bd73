"""What a URL leads to, and who may go there."""

import pytest

from pipeline.errors import ConfigurationError
from pipeline.transport.api import ApiTransport
from pipeline.transport.origins import Origin, Reach, parse_base_url, parse_target


@pytest.mark.parametrize(
    "url",
    [
        "https://h/a%2Fb/c.png?sig=x%2By%3d&b=a+b",
        "https://h/p?X-Amz-Signature=0aF&empty=&flag",
        "https://h:8443/~x/(y)'z.png?a=%7e",
    ],
)
def test_path_and_query_are_kept_to_the_byte(url: str) -> None:
    """Written anew, a signature may no longer match."""
    assert str(parse_target(url).url) == url


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://h", "https://h/"),
        ("https://h/a b", "https://h/a%20b"),
        ("https://h/é?q=ü", "https://h/%C3%A9?q=%C3%BC"),
        ("https://h/a#part", "https://h/a"),
        ("HTTPS://H/A", "https://h/A"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://①②⑦.0.0.1/", "https://127.0.0.1/"),
    ],
)
def test_what_cannot_be_sent_as_it_is_written_is_normalised(url: str, sent: str) -> None:
    assert str(parse_target(url).url) == sent


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "/x",
        "ftp://h/x",
        "file:///etc/passwd",
        "data:image/png;base64,AA",
        "https://",
        "https:///x",
        "https://[::1/x",
        "https://h:99999/",
        "https://h:x/",
        "https://u:p@h/",
        "https://u@h/",
        "javascript:alert(1)",
    ],
)
def test_what_is_not_a_plain_absolute_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        parse_target(url)


def test_the_refusal_does_not_repeat_the_url() -> None:
    with pytest.raises(ValueError) as caught:
        parse_target("https://user:SECRET@h/?sig=SECRET")
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://H/x", Origin(scheme="https", host="h", port=443)),
        ("http://h/x", Origin(scheme="http", host="h", port=80)),
        ("https://[::1]:8443/x", Origin(scheme="https", host="::1", port=8443)),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: Origin) -> None:
    assert parse_target(url).origin == origin


def test_an_ipv6_host_is_written_in_brackets() -> None:
    assert Origin(scheme="https", host="::1", port=1).authority == "[::1]:1"


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api.example/v1",
        "http://localhost:8000/v1",
        "http://127.0.0.1/v1",
        "http://[::1]:1/v1/",
        "http://sim.localhost/v1",
    ],
)
def test_a_base_url_is_https_or_on_loopback(base_url: str) -> None:
    assert parse_base_url(base_url).origin.host in base_url


@pytest.mark.parametrize(
    "base_url",
    [
        "http://api.example/v1",
        "http://10.0.0.1/v1",
        "http://localhost.example/v1",
        "https://u:p@api.example/v1",
        "https://",
        "api.example/v1",
        "https://api.example/v1?key=1",
        "https://api.example/v1#x",
        "",
        "ftp://h/",
    ],
)
def test_any_other_base_url_is_a_wrong_setting(base_url: str) -> None:
    with pytest.raises(ConfigurationError):
        ApiTransport(base_url=base_url, api_key="sk-12345678")


@pytest.mark.parametrize("key", ["a\nb", "a b", "schlüssel", "a\x00"])
def test_a_key_that_cannot_stand_in_a_header_is_a_wrong_setting(key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ApiTransport(base_url="https://api.example/v1", api_key=key)
    assert key not in str(caught.value)


def test_the_transport_does_not_show_its_key() -> None:
    assert "sk-12345678" not in repr(ApiTransport(base_url="https://api.example/v1", api_key="sk-12345678"))


ALLOW = ("cdn.example", "nas.local:8080", "10.1.2.3", "[::1]:9000", "fd00::1", "BÜCHER.example")


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.example/",
        "http://cdn.example:81/",
        "https://CDN.example/",
        "http://nas.local:8080/",
        "https://10.1.2.3/",
        "https://[::1]:9000/",
        "https://[fd00::1]:7/",
        "https://bücher.example/",
        "https://api.example/other",
        "https://api.example:443/",
    ],
)
def test_the_provider_and_the_allowed_hosts_are_permitted(url: str) -> None:
    assert Reach.of("https://api.example/v1", ALLOW).permits(parse_target(url).origin)


@pytest.mark.parametrize(
    "url",
    [
        "https://x.cdn.example/",
        "https://nas.local/",
        "https://nas.local:8081/",
        "https://[::1]/",
        "https://10.1.2.4/",
        "https://api.example:444/",
        "http://api.example/",
        "http://api.example:443/",
        "https://api.example.evil/",
    ],
)
def test_nobody_else_is_permitted(url: str) -> None:
    assert not Reach.of("https://api.example/v1", ALLOW).permits(parse_target(url).origin)


@pytest.mark.parametrize("entry", ["", "https://h", "h/x", "u@h", "h:port", "h?x", "h x", "[::1", "h:70000"])
def test_an_entry_that_is_not_a_host_is_a_wrong_setting(entry: str) -> None:
    with pytest.raises(ConfigurationError):
        Reach.of("https://api.example/v1", [entry])
