"""A connection to the shop on which nobody waits: neither who hears it nor who answers.

What comes is kept until a request is there in whole, and what is said until the other side has taken it.
"""

import re
from socket import MSG_DONTWAIT, socket
from typing import Any

# No form of ours comes near the one, nor a line and the headers beside it near the other.
BODY_BYTES, HEAD_BYTES = 1024 * 1024, 32 * 1024
HEAD_ENDS = b"\r\n\r\n"
ROOM = HEAD_BYTES + len(HEAD_ENDS) + 64 * 1024  # for what is sent ahead, and a head and body as most are

LENGTH = re.compile(rb"\r\ncontent-length[ \t]*:[ \t]*([0-9]+)[ \t]*(?=\r\n|\Z)", re.IGNORECASE)
IN_PIECES = re.compile(rb"\r\ntransfer-encoding[ \t]*:", re.IGNORECASE)
# RFC 9110, 10.1.1; an HTTP/1.0 client does not know what it would be told.
ASKS = re.compile(
    rb"[^\r\n]* HTTP/1\.1\r\n(?:[^\r\n]*\r\n)*?expect[ \t]*:[ \t]*100-continue[ \t]*(?:\r\n|\Z)",
    re.IGNORECASE,
)
GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
BARE = re.compile(rb"[\x80-\xff]")


class Refused(Exception):
    """The rest of this request is not waited for; says the status."""


class ClientSocket(socket):
    """It takes the place of the plain socket of a connection."""

    def __init__(self, plain: socket) -> None:
        super().__init__(fileno=plain.detach())
        self.arrived, self.unsent = bytearray(), bytearray()
        self._ends = 0  # where the request that arrives does, once its head is there

    def hear(self) -> bool:
        """Whether a request is there, to the end of its body. Only if none is, more is read."""
        if not self._is_whole():
            self.arrived += self.there_now(max(ROOM, self._ends) - len(self.arrived))
        return self._is_whole()

    def there_now(self, size: int) -> bytes:
        """What has come of so many bytes; EOFError if nothing more will."""
        try:
            piece = self.recv(size, MSG_DONTWAIT)
        except BlockingIOError:
            return b""
        if not piece:
            raise EOFError
        return piece

    def take(self) -> bytes:
        """The request that is there. What has come after it is the next one's."""
        request = bytes(self.arrived[: self._ends])
        del self.arrived[: self._ends]
        self._ends = 0
        return _escaped(request)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Say this, now or later: a thread says its whole answer, and is free."""
        self.unsent += data
        self.send_on()

    def send_on(self) -> int:
        """How many bytes of what is unsent can go now."""
        try:
            sent = self.send(self.unsent, MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        del self.unsent[:sent]
        return sent

    def _is_whole(self) -> bool:
        if not self._ends:
            self._read_head()
        return 0 < self._ends <= len(self.arrived)

    def _read_head(self) -> None:
        end = self.arrived.find(HEAD_ENDS, 0, HEAD_BYTES + len(HEAD_ENDS))
        if end >= 0:
            head = bytes(self.arrived[:end])
            self._ends = end + len(HEAD_ENDS) + _length(head)
            if self._ends > len(self.arrived) and ASKS.match(head):
                self.sendall(GO_ON)
        elif len(self.arrived) >= HEAD_BYTES + len(HEAD_ENDS):
            raise Refused("431 Request Header Fields Too Large")


def _length(head: bytes) -> int:
    """How many bytes of a body follow; what the head means otherwise is gunicorn's to say."""
    if IN_PIECES.search(head):
        raise Refused("411 Length Required")
    length = LENGTH.search(head)
    digits = length[1].lstrip(b"0") if length else b""
    # Python reads no number of thousands of digits, and none of that length is wanted.
    if len(digits) > len(str(BODY_BYTES)) or int(digits or b"0") > BODY_BYTES:
        raise Refused("413 Content Too Large")
    return int(digits or b"0")


def _escaped(request: bytes) -> bytes:
    """Percent-escape a query's bare bytes: phones send them, gunicorn refuses them; no signature changes."""
    line, end, rest = request.partition(b"\r\n")
    path, mark, query = line.partition(b"?")
    return path + mark + BARE.sub(lambda byte: b"%%%02X" % ord(byte[0]), query) + end + rest
