"""Binding apart from the server, and the addresses that come of it."""

import errno
import socket
from typing import Any

import pytest

from streamz_actors.errors import ConfigError
from streamz_actors.web import listening
from streamz_actors.web.listening import listen, url


def ports(sockets: list[socket.socket]) -> set[int]:
    """Their ports; closes them."""
    found = {sock.getsockname()[1] for sock in sockets}
    for sock in sockets:
        sock.close()
    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", ""])
def test_a_free_port_is_the_same_on_every_address_of_the_host(host: str) -> None:
    (port,) = ports(listen(host, 0))
    assert port > 0


def test_a_port_belongs_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sockets = listen("127.0.0.1", 0)
    port = sockets[0].getsockname()[1]
    with pytest.raises(ConfigError, match=rf"127\.0\.0\.1:{port}: the port is in use; set web_port to a free port"):
        listen("127.0.0.1", port)
    assert ports(sockets) == {port}


@pytest.mark.parametrize("host", ["a..b", "300.1.1.1.1.1:2"])
def test_what_is_no_address_is_said(host: str) -> None:
    with pytest.raises(ConfigError, match=rf"cannot serve HTTP on {host}:0: "):
        listen(host, 0)


class Answers:
    """In place of `_bound`: refuses as often as it is told to, with the next error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *refusals: int) -> None:
        self._refusals, self._bound = list(refusals), listening._bound
        monkeypatch.setattr(listening, "_bound", self)
        monkeypatch.setattr(listening, "_addresses", lambda host: [(socket.AF_INET, "127.0.0.1")])

    def __call__(self, *address: Any) -> socket.socket:
        if self._refusals:
            raise OSError(self._refusals.pop(0), "refused")
        return self._bound(*address)


def test_another_free_port_is_tried_where_one_address_has_the_first_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    Answers(monkeypatch, errno.EADDRINUSE, errno.EADDRINUSE)
    assert len(ports(listen("localhost", 0))) == 1


def test_an_address_that_is_not_there_is_left_out_if_there_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    Answers(monkeypatch, errno.EADDRNOTAVAIL)
    monkeypatch.setattr(listening, "_addresses", lambda host: [(socket.AF_INET, "127.0.0.1")] * 2)
    (sock,) = listen("localhost", 0)
    sock.close()


def test_without_any_address_that_is_there_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    Answers(monkeypatch, errno.EADDRNOTAVAIL)
    with pytest.raises(ConfigError, match="cannot serve HTTP on localhost:80: refused"):
        listen("localhost", 80)


@pytest.mark.parametrize(
    ("host", "outside", "here"),
    [
        ("127.0.0.1", "http://127.0.0.1:80", "http://127.0.0.1:80"),
        ("0.0.0.0", f"http://{socket.gethostname()}:80", "http://127.0.0.1:80"),
        ("", f"http://{socket.gethostname()}:80", "http://127.0.0.1:80"),
        ("::", f"http://{socket.gethostname()}:80", "http://[::1]:80"),
        ("::1", "http://[::1]:80", "http://[::1]:80"),
    ],
)
def test_a_server_has_an_address_for_others_and_one_for_this_machine(host: str, outside: str, here: str) -> None:
    assert (url(host, 80), url(host, 80, here=True)) == (outside, here)
