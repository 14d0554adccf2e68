"""Connections under a deadline, and those that are kept."""

import os
import subprocess
import sys
import textwrap
import time

import pytest

from backend.messaging.carriers.wire import Deadline, Pool, connect
from tests.carriers.servers import free_port, listening, silence


def test_a_deadline_runs_out() -> None:
    deadline = Deadline(0.02)
    assert 0 < deadline.remaining() <= 0.02

    time.sleep(0.03)

    with pytest.raises(TimeoutError):
        deadline.remaining()


def test_a_name_is_looked_up_within_the_deadline() -> None:
    with listening(silence) as server:
        connect("localhost", server.port, deadline=Deadline(5)).close()

    with pytest.raises(OSError, match=r"."):
        connect("a" * 70 + ".example", 80, deadline=Deadline(5))
    with pytest.raises(TimeoutError):
        connect("localhost", free_port(), deadline=Deadline(0))


def test_a_write_that_nobody_reads_keeps_to_the_deadline() -> None:
    with listening(lambda _connection, _listener: time.sleep(1)) as server:
        wire = connect("127.0.0.1", server.port, deadline=Deadline(0.2))
        started = time.monotonic()

        with pytest.raises(TimeoutError):
            wire.sendall(b"x" * 50_000_000)

        assert time.monotonic() - started < 0.6
        assert wire.wrote
        wire.drop()


def test_the_youngest_connection_goes_out_first_and_no_more_are_kept_than_asked() -> None:
    discarded: list[str] = []
    pool = Pool(discard=discarded.append, size=2)
    for name in ("one", "two", "three"):
        pool.put(name)

    assert discarded == ["three"]
    assert [pool.take(), pool.take(), pool.take()] == ["two", "one", None]


def test_connections_that_lay_idle_for_long_are_not_used() -> None:
    discarded: list[str] = []
    pool = Pool(discard=discarded.append, idle_seconds=0.01)
    pool.put("one")
    pool.put("two")
    time.sleep(0.02)

    assert pool.take() is None
    assert sorted(discarded) == ["one", "two"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Not run here: this system does not fork.")
def test_a_child_process_leaves_its_parents_connections_alone() -> None:
    story = """
        import os
        from backend.messaging.carriers.wire import Pool

        discarded = []
        pool = Pool(discard=discarded.append)
        pool.put("the parent's")
        child = os.fork()
        if not child:
            os._exit(0 if pool.take() is None and not discarded else 1)
        _child, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert pool.take() == "the parent's"
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(story)], check=True, timeout=30)
