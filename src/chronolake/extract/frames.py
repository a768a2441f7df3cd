"""Messages over a socket between a pool and its workers, each with its length in front.

Every step has a deadline: a process that stands still in the middle of a message must not hold up the other.
"""

import socket
import struct
import time

_LENGTH = struct.Struct("!Q")
_READ_BYTES = 2**18


def send(connection: socket.socket, message: bytes, within_s: float | None = None) -> None:
    """Send one message.

    Raises:
        TimeoutError: the other end did not take it within the time.
        OSError: the other end is gone.
    """
    connection.settimeout(within_s)
    connection.sendall(_LENGTH.pack(len(message)))
    connection.sendall(message)


def receive(connection: socket.socket, most_bytes: int, within_s: float | None = None) -> bytes:
    """The next message.

    Raises:
        EOFError: the other end is gone, or the message is longer than `most_bytes`.
        TimeoutError: the message did not come, or not to its end, within the time.
    """
    deadline = None if within_s is None else time.monotonic() + within_s
    (length,) = _LENGTH.unpack(_read(connection, _LENGTH.size, deadline))
    if length > most_bytes:
        raise EOFError(f"a message of {length} bytes")
    return _read(connection, length, deadline)


def wait(connection: socket.socket) -> None:
    """Return once a message begins, or the other end is gone."""
    connection.settimeout(None)
    connection.recv(1, socket.MSG_PEEK)


def _read(connection: socket.socket, size: int, deadline: float | None) -> bytes:
    read = bytearray()
    while len(read) < size:
        # A timeout of 0 means not to wait at all, and not that the time is over.
        connection.settimeout(None if deadline is None else max(0.001, deadline - time.monotonic()))
        try:
            part = connection.recv(min(_READ_BYTES, size - len(read)))
        except ConnectionError as error:
            raise EOFError from error
        if not part:
            raise EOFError
        read += part
    return bytes(read)
