"""Free ports on loopback."""

import asyncio
import contextlib
import socket
from contextlib import ExitStack

from forestay.embedded.errors import EmbeddedError

LOOPBACK = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Return ``count`` different ports that were free on loopback a moment ago.

    Nothing holds them: a server that finds its port taken after all must be started again with another.
    """
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]


def require_free(port: int) -> None:
    """Make sure that a server could listen on ``port`` of loopback.

    Raises:
        EmbeddedError: Something listens on it already, or this user may not.
    """
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still fading is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError as error:
            raise EmbeddedError(f"Port {port} cannot be used ({error.strerror}). Choose another one.") from error


async def is_listening(port: int) -> bool:
    """Return whether a connection to ``port`` on loopback is accepted.

    Raises:
        OSError: It is refused.
    """
    _, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.close()
    with contextlib.suppress(ConnectionError):  # it was accepted: how it ends does not matter
        await writer.wait_closed()
    return True
