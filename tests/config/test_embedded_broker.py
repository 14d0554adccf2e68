"""The embedded broker loses nothing to a reader that comes between two steps of a writer."""

import threading
from pathlib import Path

from kombu import Connection

from backend.config import embedded_broker

MESSAGES = 30
# Queues have names of their own: kombu remembers for the whole process which ones it has bound.
LARGE = "x" * 3_000_000


def options(folder: Path) -> dict[str, str]:
    for name in ("queue", "control"):
        (folder / name).mkdir(exist_ok=True)
    return {
        "data_folder_in": str(folder / "queue"),
        "data_folder_out": str(folder / "queue"),
        "control_folder": str(folder / "control"),
    }


def test_a_message_that_can_be_seen_is_whole(tmp_path: Path) -> None:
    """Large messages, so that a writer that writes under the final name is seen in the middle of it."""
    embedded_broker.use()
    told, is_done = options(tmp_path), threading.Event()

    def write() -> None:
        with Connection("filesystem://localhost//", transport_options=told) as connection:
            queue = connection.SimpleQueue("whole")
            for number in range(MESSAGES):
                queue.put({"number": number, "filling": LARGE})
            queue.close()
        is_done.set()

    writer = threading.Thread(target=write)
    writer.start()
    whole: set[Path] = set()
    partial: set[Path] = set()
    while not is_done.is_set():
        for path in (tmp_path / "queue").glob("*.whole.msg"):
            if path not in whole:
                (whole if path.stat().st_size > len(LARGE) else partial).add(path)
    writer.join()

    assert partial == set()
    assert len(list((tmp_path / "queue").glob("*.whole.msg"))) == MESSAGES
    assert not list((tmp_path / "queue").glob(".*"))


def test_what_is_put_is_taken(tmp_path: Path) -> None:
    embedded_broker.use()
    with Connection("filesystem://localhost//", transport_options=options(tmp_path)) as connection:
        assert isinstance(connection.transport, embedded_broker.Transport)
        queue = connection.SimpleQueue("taken")
        for number in range(5):
            queue.put({"number": number})
        seen: list[int] = []
        while len(seen) < 5:
            message = queue.get(timeout=20)
            seen.append(message.payload["number"])
            message.ack()
        queue.close()

    assert sorted(seen) == list(range(5))


def test_the_worker_of_an_installation_uses_it() -> None:
    from backend.config.celery import app  # noqa: PLC0415 - reads the settings

    with app.connection_for_write() as connection:
        assert issubclass(connection.get_transport_cls(), embedded_broker.Transport)
