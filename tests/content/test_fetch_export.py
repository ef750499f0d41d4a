"""Fetching an export: from listed hosts and checked addresses alone, within limits, and without a word of secrets."""

from __future__ import annotations

import io
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from personalization_pipelines.content.exports.fetch_export import Limits
from personalization_pipelines.content.exports.public_addresses import is_public
from personalization_pipelines.content.exports.resolving import resolve
from personalization_pipelines.foundation.errors import ExportUnavailable, ImportRefused, PersonalizationError
from personalization_pipelines.website.export_hosts import parse_export_address
from tests.content.cms import Cms, answer, redirect, trickle
from tests.content.fetching import LOGIN, PERMANENT, PLAIN, SHORT, SMALL, TRANSIENT, fetch, fetcher

LOOPBACK = (
    "127.0.0.1", "127.1.2.3", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b:1::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::", "fe80::1", "fe80::1%lo", "fc00::1", "fd00:ec2::254",
    "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254", "100.64.0.1", "100.100.100.200",
    "192.0.0.8", "192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16", "ff02::1", "2001:db8::1", "3fff::1", "5f00::1",
    "100::1", "::ffff:10.0.0.1", "2001:10::1", "", "localhost", "127.1", "2130706433",
)  # fmt: skip
PUBLIC = (
    "1.1.1.1",
    "93.184.216.34",
    "172.32.0.1",
    "100.128.0.1",
    "192.0.1.1",
    "198.20.0.1",
    "2606:4700::1111",
    "2a00::1",
)


@pytest.mark.parametrize("address", LOOPBACK)
def test_special_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


def test_a_document_comes_as_it_is_with_the_login_and_without_compression() -> None:
    with Cms({"/a?page=2": answer(b'{"a": 1}')}) as cms:
        assert fetch(cms, "/a?page=2", LOGIN) == b'{"a": 1}'
        (head,) = cms.requests
    assert head.startswith("GET /a?page=2 HTTP/1.1\r\n")
    assert f"\r\nHost: 127.0.0.1:{cms.port}\r\n" in head
    assert "\r\nAccept-Encoding: identity\r\n" in head
    assert "\r\nAuthorization: Basic ZWRpdG9yOkNhbmFyeS1QYXNzLTc3MzE=\r\n" in head


def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with Cms({"/a": PLAIN}) as cms, Cms() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://user:secret@127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        assert fetch(cms, "/a", LOGIN) == b"{}"
        assert proxy.connections == 0


def loopback_attempts(port: int) -> Iterator[tuple[str, str, Callable[[str, int], list[str]]]]:
    """Yield address, the website's entry and what the name resolves to: each would reach the canary at a port."""
    spellings = (
        "127.0.0.1", "127.1", "127.0.1", "0", "0.0.0.0", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1",
        "017700000001", "127.0.0.01", "localhost", "localhost.", "LOCALHOST", "127.0.0.1.", "[::1]", "[::]",
        "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]", "①②⑦.⓪.⓪.①", "127。0。0。1", "%31%32%37.0.0.1",
        "127.0.0.1%00", "ip6-localhost", "[::1%25lo]", "127.255.255.254",
    )  # fmt: skip
    real = resolve
    for scheme in ("http", "https"):
        for spelling in spellings:
            yield f"{scheme}://{spelling}:{port}/a", "cms.example.org", real
        for inside in (
            f"cms.example.org:{port}@127.0.0.1:{port}", f"127.0.0.1:{port}\\@cms.example.org",
            f"127.0.0.1:{port}#@cms.example.org", f"127.0.0.1:{port}%2f@cms.example.org",
            f"cms.example.org:{port}\t@127.0.0.1", f"127.0.0.1:{port}?@cms.example.org",
            f"127.0.0.1:{port}/@cms.example.org",
        ):  # fmt: skip
            yield f"{scheme}://{inside}/a", "cms.example.org", real
        for address in LOOPBACK:
            yield (
                f"{scheme}://cms.example.org:{port}/a",
                f"{scheme}://cms.example.org:{port}",
                lambda *_, a=address: [a],
            )
            mixed = [PUBLIC[0], address]
            yield f"{scheme}://cms.example.org:{port}/a", f"{scheme}://cms.example.org:{port}", lambda *_, m=mixed: m
        yield f"{scheme}://localhost:{port}/a", f"{scheme}://localhost:{port}", real
        yield (
            f"{scheme}://cms.intranet:{port}/a",
            f"{scheme}://cms.intranet:{port}=10.0.0.0/8",
            lambda *_: ["127.0.0.1"],
        )


def try_loopback(canary: Cms) -> int:
    """Try every way to a canary on this machine; return how many there were. None may be taken."""
    tried = 0
    for text, entry, by in loopback_attempts(canary.port):
        tried += 1
        with pytest.raises((ImportRefused, ValueError)):
            fetcher(entry, resolve=by).fetch(parse_export_address(text), LOGIN, io.BytesIO())
    return tried


def test_no_spelling_and_no_name_of_the_loopback_address_brings_a_connection() -> None:
    with Cms({"/a": PLAIN}) as canary:
        assert try_loopback(canary) >= 150
        assert canary.connections == 0
        assert fetch(canary, "/a") == b"{}", "the canary would have answered"


def test_a_name_is_resolved_once_and_the_connection_goes_to_what_was_checked() -> None:
    """Rebinding: the second answer would be the canary."""
    with Cms({"/a": PLAIN}) as canary, Cms({"/a": answer(b"right")}) as cms:
        asked: list[str] = []

        def flips(host: str, port: int) -> list[str]:
            asked.append(host)
            return ["127.0.0.2"] if len(asked) == 1 else ["127.0.0.1"]

        entry, address = f"http://rebinding.example:{cms.port}=127.0.0.2", f"http://rebinding.example:{cms.port}/a"
        with socket.create_server(("127.0.0.2", cms.port)) as other:
            other.settimeout(20)
            file = io.BytesIO()
            slow = Limits(seconds=20, idle_seconds=0.2)
            with pytest.raises(ExportUnavailable):  # nobody answers there, but it is there that it goes
                fetcher(entry, limits=slow, resolve=flips).fetch(parse_export_address(address), None, file)
            connected, _ = other.accept()
            with connected:
                assert f"Host: rebinding.example:{cms.port}".encode() in connected.recv(65536)
        assert asked == ["rebinding.example"]
        with pytest.raises(ImportRefused, match=r"its address 127\.0\.0\.1 is not in 127\.0\.0\.2/32"):
            fetcher(entry, resolve=flips).fetch(parse_export_address(address), None, file)
        assert (canary.connections, cms.connections) == (0, 0)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_a_redirect_to_this_machine_is_not_followed(status: str) -> None:
    with Cms({"/a": PLAIN}) as canary, Cms() as cms:
        targets = [
            canary.url("/a"), f"//127.0.0.1:{canary.port}/a", f"http://localhost:{canary.port}/a",
            f"http://[::ffff:127.0.0.1]:{canary.port}/a", f"http://2130706433:{canary.port}/a",
            f"http://x@127.0.0.1:{canary.port}/a", f"\\\\127.0.0.1:{canary.port}/a", "file:///etc/passwd",
            f"gopher://127.0.0.1:{canary.port}/a", f"https://127.0.0.1:{canary.port}/a",
        ]  # fmt: skip
        for number, target in enumerate(targets):
            cms.answers[f"/{number}"] = redirect(target, status)
            with pytest.raises(ImportRefused):
                fetch(cms, f"/{number}", LOGIN)
        assert canary.connections == 0
        assert cms.connections == len(targets)


def test_redirects_on_listed_hosts_are_followed_three_times_and_the_login_stays_with_its_host() -> None:
    with Cms({"/d": PLAIN}) as other, Cms() as cms:
        cms.answers = {"/a": redirect("/b"), "/b": redirect("c?x=1"), "/c?x=1": redirect(other.url("/d"))}
        both, file = fetcher(cms.entry, other.entry), io.BytesIO()
        assert both.fetch(parse_export_address(cms.url("/a")), LOGIN, file) == 2
        assert all("Authorization" in one for one in cms.requests) and cms.paths() == ["/a", "/b", "/c?x=1"]
        assert "Authorization" not in other.requests[0]
        cms.answers["/a"] = redirect("/a")
        with pytest.raises(ImportRefused, match="more than 3 redirects"):
            fetch(cms, "/a")


def test_no_log_and_no_exception_has_password_or_query(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    broken_head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n bad : x\r\nno colon\r\n\r\n{}"
    seen = []
    for given in (
        broken_head,
        *(one for one, _ in PERMANENT.values() if isinstance(one, bytes)),
        TRANSIENT["nothing"][0],
    ):
        with Cms({"/a?token=Canary-Token-1": given}) as cms, suppress(PersonalizationError):
            try:
                fetch(cms, "/a?token=Canary-Token-1", LOGIN, SMALL)
            except PersonalizationError as error:
                seen += [str(error), repr(error), str(error.__cause__)]
                assert error.__suppress_context__ or error.__context__ is None
                raise
    said = "\n".join([*seen, caplog.text, repr(LOGIN), str(LOGIN)])
    assert seen and "Canary" not in said
    assert LOGIN.header.split()[1] not in said


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for cms.example.org with its key, signed by itself."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cms")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("cms.example.org")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    path = tmp_path / "cms.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


def test_over_tls_name_certificate_and_host_are_the_hosts_though_the_connection_is_to_an_address(
    certificate: Path,
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    names: list[str | None] = []
    context.sni_callback = lambda _, name, __: names.append(name)
    with Cms({"/a": answer(b'{"a": 1}'), "/slow": trickle(answer(b"", Content_Length="10000"))}, tls=context) as cms:

        def get(host: str, path: str = "/a", trust: bool = True) -> bytes:
            limits = SHORT["not complete within the time"] if path == "/slow" else SMALL
            made = fetcher(f"{host}:{cms.port}=127.0.0.1", limits=limits, resolve=lambda *_: ["127.0.0.1"])
            known = ssl.create_default_context(cafile=str(certificate)) if trust else ssl.create_default_context()
            file = io.BytesIO()
            replace(made, tls=lambda: known).fetch(parse_export_address(f"https://{host}:{cms.port}{path}"), None, file)
            return file.getvalue()

        assert get("cms.example.org") == b'{"a": 1}'
        assert f"\r\nHost: cms.example.org:{cms.port}\r\n" in cms.requests[0]
        with pytest.raises(ImportRefused, match="certificate is refused"):
            get("www.example.org")
        with pytest.raises(ImportRefused, match="certificate is refused"):
            get("cms.example.org", trust=False)
        with pytest.raises(ExportUnavailable, match="not complete within the time"):
            get("cms.example.org", "/slow")
        assert names == ["cms.example.org", "www.example.org", "cms.example.org", "cms.example.org"]
        assert len(cms.requests) == 2, "nothing was sent where the certificate was wrong"
