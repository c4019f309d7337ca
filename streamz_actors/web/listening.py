"""Sockets that the web server listens on: bound apart from it, as processes may share them, and how to reach them."""

import errno
import socket
from contextlib import ExitStack
from typing import Final

from streamz_actors.errors import ConfigError

EVERYWHERE: Final = ("", "0.0.0.0", "::")
"""Addresses to bind to that are none to connect to."""

BACKLOG: Final = 128
ATTEMPTS: Final = 10
"""Ports tried, where any will do, until one is free on every address of the host."""

UNAVAILABLE: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""A name may stand for an IPv6 address also where there is no IPv6."""

Address = tuple[socket.AddressFamily, str]


def listen(host: str, port: int) -> list[socket.socket]:
    """Listens on every address that `host` stands for, on one port; 0 takes a free one.

    The port is nobody else's: SO_REUSEPORT is not used. Raises ConfigError, naming address and port.
    """
    try:
        return _listening(_addresses(host), port)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name with an empty label
        raise ConfigError(
            f"cannot serve HTTP on {host}:{port}: {_reason(error)}; set web_port to a free port, or to 0 for any"
        ) from error


def url(host: str, port: int, *, here: bool = False) -> str:
    """Where a server bound to `host` answers: bound to every address, under this machine's name.

    `here`: as processes on this machine reach it, who need not know the machine's name for that.
    """
    if host in EVERYWHERE:
        host = ("::1" if host == "::" else "127.0.0.1") if here else socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _addresses(host: str) -> list[Address]:
    found = socket.getaddrinfo(host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def _listening(addresses: list[Address], port: int) -> list[socket.socket]:
    for _ in range(ATTEMPTS - 1):
        try:
            return _on_all(addresses, port)
        except OSError as error:
            if port or error.errno != errno.EADDRINUSE:
                raise
    return _on_all(addresses, port)


def _on_all(addresses: list[Address], port: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    unavailable: OSError | None = None
    with ExitStack() as opened:
        for address in addresses:
            try:
                sockets.append(opened.enter_context(_bound(*address, port)))
            except OSError as error:
                if error.errno not in UNAVAILABLE:
                    raise
                unavailable = error
                continue
            port = sockets[0].getsockname()[1]
        if not sockets and unavailable is not None:
            raise unavailable
        opened.pop_all()
    return sockets


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    with ExitStack() as opened:
        sock = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        opened.pop_all()
    return sock


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):
        return str(error)
    return "the port is in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
