"""The bare loop: bytes made before, smtplib, as many connections as Accord has; no database, no gate, no log."""

import json
import os
import smtplib
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from typing import Final
from uuid import uuid4

from benchmarks.delivery.accord import CONNECTIONS, PROCESSES, SENDER


class Bare:
    """The contestant."""

    def __init__(self, _database_url: str, _folder: str, port: int) -> None:
        command = [sys.executable, "-P", "-m", "benchmarks.delivery.bare", str(port)]
        self._workers = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(PROCESSES)
        ]

    def queue(self, messages: int) -> None:
        """Each process makes its share."""
        shares = [messages // PROCESSES + (place < messages % PROCESSES) for place in range(PROCESSES)]
        for worker, share in zip(self._workers, shares, strict=True):
            self._ask(worker, str(share))
        for worker in self._workers:
            self._hear(worker)

    def send(self, _messages: int) -> None:
        """Write them all out."""
        for worker in self._workers:
            self._ask(worker, "send")
        for worker in self._workers:
            self._hear(worker)

    def processes(self) -> list[int]:
        """Whose processor time counts."""
        return [worker.pid for worker in self._workers]

    @staticmethod
    def _ask(worker: "subprocess.Popen[str]", word: str) -> None:
        if worker.stdin is None:
            raise ValueError("It was started with a pipe.")
        worker.stdin.write(f"{word}\n")
        worker.stdin.flush()

    @staticmethod
    def _hear(worker: "subprocess.Popen[str]") -> None:
        if worker.stdout is None:
            raise ValueError("It was started with a pipe.")
        json.loads(worker.stdout.readline())


def work(port: int) -> None:
    """One process: for a number it makes so many messages, for `send` it sends them."""
    made: deque[tuple[str, bytes]] = deque()
    connections = [smtplib.SMTP("127.0.0.1", port, local_hostname="localhost") for _ in range(CONNECTIONS)]
    for line in sys.stdin:
        if line.strip() == "send":
            threads = [threading.Thread(target=_send, args=(one, made)) for one in connections]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        else:
            made.extend(_messages(int(line)))
        sys.stdout.write("0\n")
        sys.stdout.flush()
    # The sink is gone by then, or soon will be: nobody waits for a farewell.
    os._exit(0)


def _send(connection: smtplib.SMTP, made: "deque[tuple[str, bytes]]") -> None:
    while True:
        try:
            to, body = made.popleft()
        except IndexError:
            return
        connection.sendmail(SENDER, [to], body)


def _messages(count: int) -> Iterator[tuple[str, bytes]]:
    """Of the size that Accord's have, and written by the same code."""
    from backend.messaging.carriers import mime  # noqa: PLC0415 - in the worker alone
    from backend.messaging.carriers.base import OutboundMessage  # noqa: PLC0415 - as above
    from backend.messaging.mail import as_html  # noqa: PLC0415 - as above
    from backend.policy.vocabulary import Channel, Language  # noqa: PLC0415 - as above
    from benchmarks.delivery.post_office import TEXT  # noqa: PLC0415 - as above

    text: Final = TEXT * 2
    for number in range(count):
        to = f"patient.{number}@example.org"
        message = OutboundMessage(
            message_id=uuid4(),
            channel=Channel.EMAIL,
            to=to,
            language=Language.FRENCH,
            text=text,
            subject="Les Tilleuls : votre rendez-vous du jeudi 15 octobre",
            html=as_html(text, language=Language.FRENCH),
        )
        date = "Wed, 14 Oct 2026 08:00:00 +0000"
        yield (
            to,
            mime.write(
                message,
                to=to,
                sender_name="Les Tilleuls",
                sender_address=SENDER,
                domain="accord.example",
                date=date,
            ),
        )


if __name__ == "__main__":
    work(int(sys.argv[1]))
