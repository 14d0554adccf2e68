"""A mail server that takes everything at once and keeps nothing: `python -m benchmarks.delivery.sink`.

It says its port on stdout, and how many it took for each line that it reads from stdin.
"""

import asyncio
import sys
from typing import Final

GREETING: Final = b"220 sink\r\n"
HELLO: Final = b"250-sink\r\n250-PIPELINING\r\n250-SIZE 10485760\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
END_OF_TEXT: Final = b"\r\n.\r\n"


class Sink(asyncio.Protocol):
    """One connection: every command is answered as RFC 5321 asks, every text taken."""

    taken = 0

    def __init__(self) -> None:
        self._unread = b""
        self._in_text = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # It is one for TCP.
        self._transport.write(GREETING)

    def data_received(self, data: bytes) -> None:
        """Answer everything that is complete, in one write."""
        unread = self._unread + data
        answers: list[bytes] = []
        while True:
            if self._in_text:
                _text, end, rest = unread.partition(END_OF_TEXT)
                if not end:
                    break
                Sink.taken += 1
                self._in_text, unread = False, rest
                answers.append(b"250 taken\r\n")
                continue
            line, end, rest = unread.partition(b"\r\n")
            if not end:
                break
            unread = rest
            answers.append(self._answer(line[:4].upper()))
        self._unread = unread
        if answers:
            self._transport.write(b"".join(answers))

    def _answer(self, verb: bytes) -> bytes:
        if verb == b"EHLO":
            return HELLO
        if verb == b"DATA":
            self._in_text = True
            return b"354 go on\r\n"
        if verb == b"QUIT":
            return b"221 bye\r\n"
        return b"250 ok\r\n"


async def serve() -> None:
    """Until stdin is closed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Sink, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(Sink.taken, flush=True)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
