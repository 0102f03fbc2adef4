"""Something between the shop and PostgreSQL that does with the start of a connection as PgBouncer does."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from sqlalchemy.engine import make_url

HOST = "127.0.0.1"
# The two questions a client may ask before it starts (source: PostgreSQL, Message Formats).
ENCRYPTION = {80877103, 80877104}
REFUSAL = b"SFATAL\0VFATAL\0C08P01\0Munsupported startup parameter: options\0\0"


@contextmanager
def pooler(url: str, *, ignores: bool) -> Iterator[str]:
    """The address of a pooler before the server at `url`.

    It refuses a connection with `options`, as PgBouncer does by itself, or `ignores` them, as
    ignore_startup_parameters tells it to.
    """
    there = make_url(url)
    path = f"{there.query['host']}/.s.PGSQL.{there.query.get('port', 5432)}"
    with closing(socket.create_server((HOST, 0))) as listener:
        threading.Thread(target=_accept, args=(listener, path, ignores), daemon=True).start()
        here = there.set(host=HOST, port=listener.getsockname()[1], query={})
        yield here.render_as_string(hide_password=False)


def _accept(listener: socket.socket, path: str, ignores: bool) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, path, ignores), daemon=True).start()


def _serve(client: socket.socket, path: str, ignores: bool) -> None:
    with client, suppress(OSError), socket.socket(socket.AF_UNIX) as server:
        code, words = _start(client)
        while code in ENCRYPTION:
            client.sendall(b"N")
            code, words = _start(client)
        pairs = words.rstrip(b"\0").split(b"\0")
        kept = dict(zip(pairs[::2], pairs[1::2], strict=True))
        if kept.pop(b"options", None) and not ignores:
            client.sendall(b"E" + struct.pack("!I", len(REFUSAL) + 4) + REFUSAL)
            return
        server.connect(path)
        words = b"".join(name + b"\0" + value + b"\0" for name, value in kept.items()) + b"\0"
        server.sendall(struct.pack("!II", len(words) + 8, code) + words)
        back = threading.Thread(target=_carry, args=(server, client), daemon=True)
        back.start()
        _carry(client, server)
        back.join()


def _start(client: socket.socket) -> tuple[int, bytes]:
    length, code = struct.unpack("!II", client.recv(8, socket.MSG_WAITALL))
    return code, client.recv(length - 8, socket.MSG_WAITALL) if length > 8 else b""


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
