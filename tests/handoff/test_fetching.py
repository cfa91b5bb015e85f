"""Fetching a file: from which addresses, within which bounds, and what is left alone."""

from __future__ import annotations

import gzip
import itertools
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from handoff.fetching import URL_MAX, CannotFetch, Fetched, Fetcher
from tests.handoff.conftest import serving, write_certificate
from tests.wire import Host, Start, Talk, answering, read_request, reset

HOST = "files.bpcontent.cloud"
URL = f"https://{HOST}/2026/foto.png"
PUBLIC = "93.184.216.34"
PNG = b"\x89PNG" + bytes(range(256)) * 40


def answer(content: bytes = PNG, status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    """Return an answer with this content."""
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(content) if length is None else length}", *headers)
    return "\r\n".join((*lines, "", "")).encode("latin-1") + content


def moved(location: str, status: int = 302) -> bytes:
    """Return a redirect."""
    return answer(b"", f"{status} X", f"Location: {location}")


@dataclass
class Net:
    """The internet as a fetcher sees it: every name is looked up here, and every connection goes to one host here."""

    port: int
    addresses: list[Any] = field(default_factory=lambda: [PUBLIC])
    looked_up: list[str] = field(default_factory=list)
    called: list[tuple[str, int]] = field(default_factory=list)
    failing: frozenset[str] = frozenset()

    def look_up(self, host: str, port: int, **_: Any) -> list[Any]:
        """Return the addresses, as `socket.getaddrinfo` does."""
        self.looked_up.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.addresses]

    def connect(self, address: tuple[str, int], timeout: float) -> socket.socket:
        """Connect to this machine, whatever the address."""
        self.called.append(address)
        if address[0] in self.failing:
            raise ConnectionRefusedError
        return socket.create_connection(("127.0.0.1", self.port), timeout)


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file with the certificate of the file host."""
    return write_certificate(tmp_path_factory.mktemp("tls") / "ours.pem", x509.DNSName(HOST), x509.DNSName("cdn.local"))


Setting = Callable[..., tuple[Fetcher, Net]]


@pytest.fixture
def fetching(start: Start, ours: Path) -> Setting:
    """Return a function that starts a file host with TLS, and gives a fetcher that reaches nothing else."""

    def build(talk: Talk, *, hosts: tuple[str, ...] = (HOST,), **of_net: Any) -> tuple[Fetcher, Net]:
        net = Net(start(talk, tls=serving(ours)).port, **of_net)
        return Fetcher(hosts, look_up=net.look_up, connect=net.connect, authorities=str(ours)), net

    return build


def fetched(fetcher: Fetcher, url: str = URL, *, max_bytes: int = 1_000_000, timeout_s: float = 5.0) -> Fetched:
    """Fetch."""
    return fetcher(url, max_bytes=max_bytes, timeout_s=timeout_s)


def refusal(fetcher: Fetcher, url: str = URL, **bounds: Any) -> CannotFetch:
    """Return why there is no file; its text says nothing of the address."""
    with pytest.raises(CannotFetch) as caught:
        fetched(fetcher, url, **bounds)
    assert not {"/", "foto", "bpcontent"} & {*str(caught.value).split(), *str(caught.value)}
    return caught.value


def why(fetcher: Fetcher, url: str = URL, **bounds: Any) -> tuple[str, bool]:
    """Return the reason, and whether it is for good."""
    error = refusal(fetcher, url, **bounds)
    return error.reason, error.for_good


# A file


def test_a_file_arrives_with_its_media_type(fetching: Setting) -> None:
    """The connection is made to the address that was looked up, once."""
    fetcher, net = fetching(answering(answer(PNG, "200 OK", "Content-Type: Image/PNG; charset=x")))
    assert fetched(fetcher) == (PNG, "image/png")
    assert (net.looked_up, net.called) == ([HOST], [(PUBLIC, 443)])


def test_the_request_says_nothing_of_us(fetching: Setting, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials of the environment, no cookies, no proxy, no compression."""
    (tmp_path / ".netrc").write_text(f"machine {HOST} login a password b")
    for name, value in (("NETRC", str(tmp_path / ".netrc")), ("HOME", str(tmp_path)), ("HTTPS_PROXY", "127.0.0.1:9")):
        monkeypatch.setenv(name, value)
    seen: list[bytes] = []
    fetcher, _ = fetching(answering(answer(PNG, "200 OK", "Set-Cookie: a=b"), seen=seen))
    fetched(fetcher)
    fetched(fetcher, f"https://{HOST}:443/a%20b/ñ c?x=%41&y=1#part")
    assert seen[0].decode().split("\r\n") == [
        "GET /2026/foto.png HTTP/1.1",
        f"Host: {HOST}",
        "Accept: */*",
        "Accept-Encoding: identity",
        "User-Agent: botpress-freshdesk-handoff/1",
        "Connection: close",
        *("", ""),
    ]
    assert seen[1].startswith(b"GET /a%20b/%C3%B1%20c?x=%41&y=1 HTTP/1.1\r\nHost: files.bpcontent.cloud\r\n")


@pytest.mark.parametrize("named", ["", "png", "image/", "image/png\tx", "a/b/c", "imagen/ñ", "x/" + "y" * 65])
def test_a_media_type_that_is_none_is_not_passed_on(fetching: Setting, named: str) -> None:
    """The file is taken as bytes."""
    fetcher, _ = fetching(answering(answer(PNG, "200 OK", f"Content-Type: {named}")))
    assert fetched(fetcher).media_type == "application/octet-stream"


@pytest.mark.parametrize("size", [0, 1, 999_999, 1_000_000])
def test_a_file_of_any_size_within_the_bound_arrives(fetching: Setting, size: int) -> None:
    """With a length, in chunks, or up to the end of the connection."""
    content = bytes(size)
    pieces = [content[at : at + 70_000] for at in range(0, size, 70_000)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    for whole in (
        answer(content),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
    ):
        assert fetched(fetching(answering(whole))[0]).content == content

    def up_to_the_end(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + content)
        if isinstance(connection, ssl.SSLSocket):
            connection.unwrap()

    assert fetched(fetching(up_to_the_end)[0]).content == content


def test_a_file_is_in_memory_once(fetching: Setting) -> None:
    """Also one in chunks."""
    content = b"x" * 8_000_000
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%b\r\n" % (65_536, b"x" * 65_536) * 122
    for whole in (answer(content), chunked + b"0\r\n\r\n"):
        fetcher, _ = fetching(answering(whole))
        fetched(fetcher, max_bytes=9_000_000)
        tracemalloc.start()
        found = fetched(fetcher, max_bytes=9_000_000)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(found.content) > 7_900_000
        assert peak < 9_500_000


# Which addresses


@pytest.mark.parametrize(
    "url",
    [
        *("", " ", "foto.png", "//files.bpcontent.cloud/x", "ftp://files.bpcontent.cloud/x", "file:///etc/passwd"),
        *("data:image/png;base64,AA", "javascript:alert(1)", "https:", "https://", "https:///x", "https://[::1"),
        f"https://ana:secreta@{HOST}/x",
        f"https://{HOST}@evil.example/x",
        f"https://evil.example\\@{HOST}/x",
        f"https:\\\\{HOST}\\x",
        f"https://{HOST}/a\\x",
        f"https://{HOST}:8443/x",
        f"https://{HOST}:80/x",
        f"https://{HOST}:/x",
        f"https://{HOST}:99999/x",
        f"https://{HOST}:\uff14\uff14\uff13/x",
        f"https://{HOST}./x",
        f"https://.{HOST}/x",
        f"https://{HOST}%00/x",
        "https://%66iles.bpcontent.cloud/x",
        "https://files.bpcontent。cloud/x",
        "https://ﬁles.bpcontent.cloud/x",
        "https://f\u0131les.bpcontent.cloud/x",
        "https://127.0.0.1/x",
        "https://2130706433/x",
        "https://0x7f.0.0.1/x",
        "https://[::1]/x",
        "https://[::ffff:8.8.8.8]/x",
        "https://localhost/x",
        f" {URL}",
        f"{URL}\n",
        f"https://{HOST}/x\r\nHost: evil.example",
        f"https://{HOST}/\tx",
        f"https://{HOST}/\x00x",
        f"https://{HOST}/\u200bx",
        f"https://{HOST}/\ud800",
        f"https://{HOST}/" + "x" * URL_MAX,
    ],
)
def test_an_address_that_could_be_read_in_two_ways_is_not_called(fetching: Setting, url: str) -> None:
    """Nothing is looked up."""
    fetcher, net = fetching(answering(answer()), hosts=(HOST, "localhost", "127.0.0.1", "*"))
    assert why(fetcher, url) == ("bad-address", True)
    assert (net.looked_up, net.called) == ([], [])


@pytest.mark.parametrize("url", [f"http://{HOST}/x", "http://evil.example/x", "http://127.0.0.1:80/x"])
def test_http_is_not_called(fetching: Setting, url: str) -> None:
    """Anybody on the way could read and change the file."""
    fetcher, net = fetching(answering(answer()))
    assert why(fetcher, url) == ("not-https", True)
    assert net.looked_up == []


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", f"{HOST}.evil.example", f"evil{HOST}", f"evil-{HOST}", f"a.{HOST}", "bpcontent.cloud"),
        *("cdn.example", "evilcdn.example", "a.cdn.example.org", "xn--fles-0pa.bpcontent.cloud"),
    ],
)
def test_a_host_that_is_not_listed_is_not_called(fetching: Setting, host: str) -> None:
    """Neither one whose name contains a listed one, nor the parent of listed subdomains."""
    fetcher, net = fetching(answering(answer()), hosts=(HOST, "*.cdn.example"))
    assert why(fetcher, f"https://{host}/x") == ("host-not-listed", True)
    assert net.looked_up == []


@pytest.mark.parametrize("host", [HOST, HOST.upper(), "cdn.local"])
def test_a_listed_host_is_called(fetching: Setting, host: str) -> None:
    """In any case of its letters, or as a subdomain of what is listed with a star."""
    fetcher, net = fetching(answering(answer()), hosts=(HOST, "*.local"))
    assert fetched(fetcher, f"https://{host}/x").content == PNG
    assert net.looked_up == [host.lower()]


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fe80::1"])
@pytest.mark.parametrize("beside", [(), (PUBLIC,)])
def test_a_name_with_a_private_address_is_not_called(fetching: Setting, address: str, beside: tuple[str, ...]) -> None:
    """Not even at another address that it has."""
    for addresses in ([*beside, address], [address, *beside]):
        fetcher, net = fetching(answering(answer()), addresses=addresses)
        assert why(fetcher) == ("private-address", True)
        assert net.called == []


def test_a_name_that_changes_its_address_between_lookup_and_connection(fetching: Setting) -> None:
    """There is no second lookup: what is connected to is the address that was checked."""
    fetcher, net = fetching(answering(answer()))
    changing = itertools.chain([[PUBLIC]], itertools.repeat(["127.0.0.1"]))
    real = net.look_up

    def look_up(*args: Any, **how: Any) -> list[Any]:
        net.addresses = next(changing)
        return real(*args, **how)

    fetcher._look_up = look_up  # noqa: SLF001 -- the name changes under a running fetcher
    assert fetched(fetcher).content == PNG
    assert net.called == [(PUBLIC, 443)]
    assert why(fetcher) == ("private-address", True)
    assert len(net.called) == 1


def test_an_address_that_does_not_answer_leaves_the_next(fetching: Setting) -> None:
    """Each was checked."""
    addresses = [PUBLIC, "8.8.8.8"]
    fetcher, net = fetching(answering(answer()), addresses=addresses, failing=frozenset({PUBLIC}))
    assert fetched(fetcher).content == PNG
    assert [address for address, _ in net.called] == addresses


# Certificates


def test_the_certificate_must_be_the_hosts(fetching: Setting) -> None:
    """One for another name is refused before anything is asked."""
    seen: list[bytes] = []
    fetcher, _ = fetching(answering(answer(), seen=seen), hosts=("other.example",))
    assert str(refusal(fetcher, "https://other.example/x")) == "unreachable: SSLCertVerificationError"
    assert seen == []


def test_the_certificate_must_be_signed_by_an_authority(start: Start, ours: Path) -> None:
    """The usual list does not have this one."""
    net = Net(start(answering(answer()), tls=serving(ours)).port)
    fetcher = Fetcher((HOST,), look_up=net.look_up, connect=net.connect)
    assert str(refusal(fetcher)) == "unreachable: SSLCertVerificationError"
    assert not refusal(fetcher).for_good


def test_the_host_is_told_which_name_is_meant(start: Start, ours: Path) -> None:
    """SNI: many hosts share an address."""
    names: list[str | None] = []
    context = serving(ours)
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    net = Net(start(answering(answer()), tls=context).port)
    fetched(Fetcher((HOST,), look_up=net.look_up, connect=net.connect, authorities=str(ours)))
    assert names == [HOST]


def test_a_list_of_authorities_that_cannot_be_read(start: Start, tmp_path: Path) -> None:
    """It is a fault of this machine, so trying again may help."""
    net = Net(start(answering(answer())).port)
    fetcher = Fetcher((HOST,), look_up=net.look_up, connect=net.connect, authorities=str(tmp_path / "none.pem"))
    assert why(fetcher) == ("ca-bundle", False)


# Redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_within_the_list_is_followed(fetching: Setting, status: int) -> None:
    """It may be relative, and lead to another listed host; each hop is looked up anew."""
    seen: list[bytes] = []
    steps = iter([moved("../other/ñ.png?a=1", status), moved("https://cdn.local/x", status), answer()])

    def talk(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(next(steps))

    fetcher, net = fetching(talk, hosts=(HOST, "cdn.local"))
    assert fetched(fetcher).content == PNG
    assert [one.split(b" ")[1] for one in seen] == [b"/2026/foto.png", b"/other/%F1.png?a=1", b"/x"]
    assert net.looked_up == [HOST, HOST, "cdn.local"]


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("https://evil.example/x", "host-not-listed"),
        ("//evil.example/x", "host-not-listed"),
        (f"http://{HOST}/x", "not-https"),
        ("http://127.0.0.1/x", "not-https"),
        (f"https://ana:b@{HOST}/x", "bad-address"),
        (f"https://{HOST}:22/x", "bad-address"),
        ("file:///etc/passwd", "bad-address"),
        ("https://127.0.0.1/x", "bad-address"),
        ("https://[", "bad-answer"),
    ],
)
def test_a_redirect_elsewhere_is_not_followed(fetching: Setting, location: str, reason: str) -> None:
    """Each hop has the rules of the first."""
    fetcher, net = fetching(answering(moved(location)))
    assert refusal(fetcher).reason == reason
    assert net.looked_up == [HOST]


def test_a_redirect_to_a_name_with_a_private_address_is_not_followed(fetching: Setting) -> None:
    """The name is a listed one."""
    fetcher, net = fetching(answering(moved("https://cdn.local/x")), hosts=(HOST, "cdn.local"))
    real = net.look_up

    def look_up(host: str, port: int, **how: Any) -> list[Any]:
        net.addresses = ["10.0.0.1"] if host == "cdn.local" else [PUBLIC]
        return real(host, port, **how)

    fetcher._look_up = look_up  # noqa: SLF001 -- one name here, another there
    assert why(fetcher) == ("private-address", True)
    assert len(net.called) == 1


def test_redirects_end_after_three(fetching: Setting) -> None:
    """The fourth is not followed."""
    steps = iter([*[moved("/next")] * 3, answer(), *[moved("/next")] * 4, answer()])
    fetcher, net = fetching(lambda c: c.sendall(next(steps)) if read_request(c) else None)
    assert fetched(fetcher).content == PNG
    assert why(fetcher) == ("too-many-redirects", True)
    assert len(net.called) == 8


@pytest.mark.parametrize("whole", [answer(b"", "302 Found"), moved("")])
def test_a_redirect_to_nowhere(fetching: Setting, whole: bytes) -> None:
    """It is a bad answer, and not followed."""
    fetcher, net = fetching(answering(whole))
    assert why(fetcher) == ("bad-answer", False)
    assert len(net.called) == 1


def test_the_body_of_a_redirect_is_not_read(fetching: Setting) -> None:
    """However long it says that it is."""
    steps = iter([answer(b"x", "302 Found", "Location: /x", length=10**12), answer()])
    fetcher, _ = fetching(lambda c: c.sendall(next(steps)) if read_request(c) else None)
    assert fetched(fetcher).content == PNG


# Answers that are none


@pytest.mark.parametrize(
    ("status", "reason", "for_good"),
    [
        *((status, "gone", True) for status in (400, 401, 403, 404, 410, 451)),
        *((status, "bad-answer", False) for status in (408, 425, 429, 500, 502, 503)),
        *((status, "bad-answer", False) for status in (201, 204, 206, 300, 304)),
    ],
)
def test_a_status_without_a_file(fetching: Setting, status: int, reason: str, for_good: bool) -> None:  # noqa: FBT001 -- a column of the table
    """A 4xx is for good, except for those that say: later."""
    fetcher, _ = fetching(answering(answer(PNG, f"{status} X")))
    error = refusal(fetcher)
    assert (error.reason, error.for_good, str(error)) == (reason, for_good, f"{reason}: {status}")


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "gzip, gzip", "x"])
def test_a_compressed_answer_is_refused(fetching: Setting, coding: str) -> None:
    """A small one may unpack without end, and nobody asked for it."""
    fetcher, _ = fetching(answering(answer(gzip.compress(PNG), "200 OK", f"Content-Encoding: {coding}")))
    assert why(fetcher) == ("compressed", True)


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: 1000001",
        f"Content-Length: {10**15}",
        "Transfer-Encoding: chunked\r\n\r\nf4241\r\n",
        "Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n",
    ],
)
def test_a_file_that_announces_too_much_is_not_read(fetching: Setting, head: str) -> None:
    """No memory is reserved for it either."""
    fetcher, _ = fetching(answering(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode()))
    tracemalloc.start()
    assert why(fetcher) == ("too-large", True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 900_000


def endless(head: bytes, block: bytes) -> Talk:
    """Send without end."""

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + head)
        while True:
            connection.sendall(block)

    return talk


@pytest.mark.parametrize(
    ("head", "block"),
    [
        (b"\r\n", b"x" * 65_536),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65_536 + b"\r\n"),
    ],
)
def test_a_file_without_end_is_cut(fetching: Setting, head: bytes, block: bytes) -> None:
    """At the bound, whatever it does not say about its length."""
    fetcher, _ = fetching(endless(head, block))
    assert why(fetcher, timeout_s=20.0) == ("too-large", True)


@pytest.mark.parametrize("lines", [b"X: y\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n", b"x" * 65_536])
def test_a_head_without_end_is_cut(fetching: Setting, lines: bytes) -> None:
    """By its size, or when the time is over."""
    fetcher, _ = fetching(endless(b"" if lines[:1] != b"H" else b"\r\n", lines))
    began_at = time.monotonic()
    assert refusal(fetcher, timeout_s=1.0).reason in {"bad-answer", "no-time", "too-large", "unreachable"}
    assert time.monotonic() - began_at < 3.0


@pytest.mark.parametrize(
    "whole",
    [
        answer(PNG, length=len(PNG) - 10),
        answer(PNG, "200 OK", f"Content-Length: {len(PNG) - 1}"),
        answer(PNG, "200 OK", "Transfer-Encoding: chunked"),
        answer(PNG, "200 OK", "Content-Length: -1"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nxx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxxx\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"SSH-2.0-x\r\n\r\n",
    ],
)
def test_an_answer_that_contradicts_itself_is_refused(fetching: Setting, whole: bytes) -> None:
    """Lengths that are none, two of them, fewer or more bytes, no HTTP."""
    assert why(fetching(answering(whole))[0]) == ("bad-answer", False)


@pytest.mark.parametrize(
    "whole",
    [
        answer(PNG, length=len(PNG) + 10),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nxxx",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"",
    ],
)
@pytest.mark.parametrize("ending", ["end of TLS", "end of connection", "reset"])
def test_a_file_that_is_cut_off_is_no_file(fetching: Setting, whole: bytes, ending: str) -> None:
    """However the connection ends, the part that arrived is not taken for the whole."""

    def talk(connection: Any) -> None:
        read_request(connection)
        connection.sendall(whole)
        if ending == "end of TLS":
            connection.unwrap()
        elif ending == "end of connection":
            connection.shutdown(socket.SHUT_RDWR)
        else:
            time.sleep(0.05)
            reset(connection)

    error = refusal(fetching(talk)[0])
    assert error.reason in {"bad-answer", "unreachable"}
    assert not error.for_good


@pytest.mark.parametrize("end", [lambda sock: sock.shutdown(socket.SHUT_RDWR), reset])
def test_a_file_without_a_length_ends_with_tls(fetching: Setting, end: Callable[[socket.socket], None]) -> None:
    """An end of the connection alone may be anybody's doing."""

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nxxx")
        time.sleep(0.05)
        end(connection)

    assert why(fetching(talk)[0]) == ("unreachable", False)


# Time


def drip(data: bytes) -> Talk:
    """Send one byte after the other, without end."""

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        for at in itertools.chain(range(len(data)), itertools.repeat(-1)):
            connection.sendall(data[at : at + 1] or b"x")
            time.sleep(0.02)

    return talk


def silent(connection: socket.socket) -> None:
    """Read, and answer nothing."""
    read_request(connection)
    time.sleep(5.0)


@pytest.mark.parametrize(
    "talk",
    [silent, drip(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n"), drip(b""), drip(b"HTTP/1.1 200 OK\r\n\r\n")],
)
def test_one_deadline_holds_for_everything(fetching: Setting, talk: Talk) -> None:
    """Every byte would start a socket's own time-out again."""
    began_at = time.monotonic()
    assert why(fetching(talk)[0], timeout_s=0.5) == ("no-time", False)
    assert time.monotonic() - began_at < 1.5


def test_the_deadline_holds_for_all_hops_together(fetching: Setting) -> None:
    """Each of them alone would be in time."""

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        time.sleep(0.3)
        connection.sendall(moved("/next"))

    fetcher, net = fetching(talk)
    assert why(fetcher, timeout_s=0.7) == ("no-time", False)
    assert len(net.called) == 3


def test_the_deadline_holds_for_the_handshake(start: Start, ours: Path) -> None:
    """A host that accepts and says nothing."""
    net = Net(start(lambda _connection: time.sleep(3.0)).port)
    fetcher = Fetcher((HOST,), look_up=net.look_up, connect=net.connect, authorities=str(ours))
    began_at = time.monotonic()
    assert why(fetcher, timeout_s=0.4) == ("no-time", False)
    assert time.monotonic() - began_at < 1.5


def test_the_deadline_holds_for_the_lookup() -> None:
    """The lookup is abandoned."""
    let_go = threading.Event()

    def look_up(*_: Any, **__: Any) -> list[Any]:
        let_go.wait(10.0)
        return []

    began_at = time.monotonic()
    assert refusal(Fetcher((HOST,), look_up=look_up), timeout_s=0.3).reason == "unreachable"
    assert time.monotonic() - began_at < 1.0
    let_go.set()


@pytest.mark.parametrize("timeout_s", [0.0, -1.0])
def test_nothing_begins_without_time(fetching: Setting, timeout_s: float) -> None:
    """Not even a lookup."""
    fetcher, net = fetching(answering(answer()))
    assert why(fetcher, timeout_s=timeout_s) == ("no-time", False)
    assert net.looked_up == []


def test_a_name_that_has_no_address(fetching: Setting) -> None:
    """It may have one later."""
    fetcher, _ = fetching(answering(answer()), addresses=[])
    assert why(fetcher) == ("unreachable", False)


def test_no_connection_stays_open(start: Start, ours: Path) -> None:
    """Whatever the end was."""
    ended: list[bool] = []

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(next(steps))
        connection.settimeout(2.0)
        try:
            ended.append(connection.recv(1) == b"")
        except TimeoutError:
            ended.append(False)
        except OSError:
            ended.append(True)

    wholes = [answer(), answer(b"", "404 X"), moved("//evil.example/x"), answer(length=10**9), b"SSH\r\n\r\n"]
    steps = iter(wholes)
    net = Net(start(talk, tls=serving(ours)).port)
    fetcher = Fetcher((HOST,), look_up=net.look_up, connect=net.connect, authorities=str(ours))
    errors = []
    for _ in wholes:
        try:
            fetched(fetcher)
        except CannotFetch as error:
            errors.append(error)  # its traceback holds what was open
    until = time.monotonic() + 4.0
    while len(ended) < len(wholes) and time.monotonic() < until:
        time.sleep(0.01)
    assert ended == [True] * len(wholes)
    assert len(errors) == 4


# This machine


def test_a_host_of_this_machine_may_be_http_where_it_is_named(start: Start) -> None:
    """By its name and its port, both."""
    host: Host = start(answering(answer()))
    fetcher = Fetcher({f"127.0.0.1:{host.port}", f"localhost:{host.port}"})
    assert fetched(fetcher, f"http://127.0.0.1:{host.port}/x").content == PNG
    assert fetched(fetcher, f"http://localhost:{host.port}/x").content == PNG
    for other in (f"127.0.0.1:{host.port - 1}", "127.0.0.1", f"127.0.0.2:{host.port}", f"[::1]:{host.port}"):
        assert why(fetcher, f"http://{other}/x") == ("not-https", True)
    assert why(fetcher, f"ftp://127.0.0.1:{host.port}/x") == ("bad-address", True)
    assert why(Fetcher(()), f"http://127.0.0.1:{host.port}/x") == ("not-https", True)


def test_a_name_of_this_machine_must_lead_to_it(start: Start) -> None:
    """Also where the list of its hosts says another thing."""
    net = Net(start(answering(answer())).port)
    fetcher = Fetcher({"localhost:8123"}, look_up=net.look_up, connect=net.connect)
    assert why(fetcher, "http://localhost:8123/x") == ("private-address", True)
    assert net.called == []


def test_a_redirect_does_not_lead_to_this_machine(fetching: Setting, start: Start) -> None:
    """Unless the host is named."""
    inside = start(answering(answer()))
    fetcher, _ = fetching(answering(moved(f"http://127.0.0.1:{inside.port}/x")))
    assert why(fetcher) == ("not-https", True)
    assert inside.connections == 0
