"""bin/serve and bin/demo as somebody starts, stops and misuses them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from backend.config.env import SettingRefused
from backend.config.processes import Processes
from backend.config.serve import LOCK, free_port, hold_folder, is_free, start_sandbox, wait_until_up
from demo.client import Client

SECONDS = 60


def environment(folder: Path, **settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    return {**kept, "ACCORD_DATA_DIR": str(folder), **settings}


def run(module: str, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    folder = Path(settings.pop("folder"))
    return subprocess.run(
        [sys.executable, "-P", "-m", module, *arguments],
        env=environment(folder, **settings),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


# ----------------------------------------------------------------------------------------------------- one folder


@pytest.mark.parametrize("module", ["backend.config.serve", "demo"])
def test_a_folder_in_use_is_refused_and_left_alone(tmp_path, module: str) -> None:
    (tmp_path / ".accord-demo").write_text("", encoding="utf-8")
    (tmp_path / "accord.sqlite3").write_text("data", encoding="utf-8")
    lock = hold_folder(tmp_path)

    ended = run(module, folder=str(tmp_path), ACCORD_PORT=str(free_port()))

    os.close(lock)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "is in use" in ended.stderr
    assert (tmp_path / "accord.sqlite3").read_text(encoding="utf-8") == "data"


def test_a_folder_is_free_again_once_its_holder_is_gone(tmp_path) -> None:
    os.close(hold_folder(tmp_path))
    lock = hold_folder(tmp_path)

    with pytest.raises(SettingRefused, match="in use"):
        hold_folder(tmp_path)

    os.close(lock)
    assert (tmp_path / LOCK).stat().st_mode & 0o077 == 0


# ---------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("module", "arguments", "settings", "named"),
    [
        ("backend.config.serve", (), {"ACCORD_PORT": "abc"}, "ACCORD_PORT"),
        ("backend.config.serve", (), {"ACCORD_PUBLIC_URL": "http://[::"}, "ACCORD_PUBLIC_URL"),
        ("demo", ("--once",), {"ACCORD_PORT": "99999"}, "ACCORD_PORT"),
        ("demo", ("--once", "--today", "1800-01-01"), {}, "--today"),
        ("demo", ("--once", "--report", "missing/report.json"), {}, "report"),
        ("demo", ("--once", "--report", "."), {}, "--report"),
    ],
)
def test_what_could_only_fail_later_is_refused_at_once(tmp_path, module, arguments, settings, named) -> None:
    ended = run(module, *arguments, folder=str(tmp_path / "data"), **settings)

    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert named in ended.stderr
    assert not (tmp_path / "data").exists()


def test_a_folder_without_fhir_files_is_refused_at_once(tmp_path) -> None:
    (tmp_path / "empty").mkdir()

    ended = run("demo", "--once", "--fhir", str(tmp_path / "empty"), folder=str(tmp_path / "data"))

    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)


def test_a_taken_port_is_told_before_the_story(tmp_path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        (tmp_path / "port").write_text(port, encoding="utf-8")

        ended = run("demo", folder=str(tmp_path / "data"), ACCORD_PORT_FILE=str(tmp_path / "port"))

    assert ended.returncode == 2
    assert port in ended.stderr
    assert ended.stdout == ""


# -------------------------------------------------------------------------------------------------------- processes


def test_who_does_not_stop_in_time_is_killed_and_nobody_is_left() -> None:
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    processes = Processes()
    assert processes.start(
        "stubborn", [sys.executable, "-c", stubborn], environment=os.environ, grace=0.2, announces=b"up"
    )
    (child,) = [one.process for one in processes._children]  # noqa: SLF001 - seen from outside as a process only

    began = time.monotonic()
    processes.stop()

    assert time.monotonic() - began < 5
    assert child.poll() == -signal.SIGKILL


def test_who_ends_before_it_is_up_is_told() -> None:
    command = [sys.executable, "-c", "print('no port')"]

    assert not Processes().start("early", command, environment=os.environ, grace=1, announces=b"up")


def test_the_sandbox_takes_other_ports_when_it_can_not_bind(tmp_path) -> None:
    processes = Processes()
    try:
        first = start_sandbox(processes, tmp_path / "one")
        second = start_sandbox(processes, tmp_path / "two")
    finally:
        processes.stop()

    assert first["EMAIL_URL"] != second["EMAIL_URL"]
    assert Path(first["FCM_CREDENTIALS"]).is_file()


class _Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"path": self.path}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


def test_a_proxy_is_not_asked_about_this_machine(monkeypatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with HTTPServer(("127.0.0.1", 0), _Server) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"

        assert wait_until_up(f"{base}/health", seconds=2)
        assert Client(base, "token").get("/me") == {"path": "/api/v1/me"}
        server.shutdown()


# ------------------------------------------------------------------------------------------------------- start, stop


def test_it_serves_from_files_in_an_odd_folder_and_stops_on_one_signal(tmp_path) -> None:
    port = free_port()
    (tmp_path / "port").write_text(f"{port}\n", encoding="utf-8")
    (tmp_path / "folder").write_text(str(tmp_path / "it's here"), encoding="utf-8")
    settings = environment(tmp_path, ACCORD_PORT_FILE=str(tmp_path / "port"))
    del settings["ACCORD_DATA_DIR"]
    settings["ACCORD_DATA_DIR_FILE"] = str(tmp_path / "folder")
    serving = subprocess.Popen(
        [sys.executable, "-P", "-m", "backend.config.serve"],
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        up = wait_until_up(f"http://127.0.0.1:{port}/health")
        serving.send_signal(signal.SIGINT)
        said, _nothing = serving.communicate(timeout=30)
    finally:
        serving.kill()
        serving.wait()

    assert up, said
    assert serving.returncode == 130
    assert "Traceback" not in said
    assert is_free(port)
    assert {"accord.sqlite3", "sandbox.json", LOCK} <= {one.name for one in (tmp_path / "it's here").iterdir()}


def test_a_story_that_is_stopped_says_so_in_a_sentence(tmp_path) -> None:
    # A job in the background is born deaf to Ctrl-C, and hands that down; this one has to hear it.
    hearing = "import signal, runpy; signal.signal(signal.SIGINT, signal.default_int_handler); "
    telling = subprocess.Popen(
        [sys.executable, "-P", "-c", f"{hearing} runpy.run_module('demo', run_name='__main__')", "--once"],
        env=environment(tmp_path / "data", PYTHONIOENCODING="ascii"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert telling.stdout is not None
        telling.stdout.readline()
        telling.send_signal(signal.SIGINT)
        _said, complained = telling.communicate(timeout=30)
    finally:
        telling.kill()
        telling.wait()

    assert telling.returncode == 130
    assert complained.strip() == "The story was stopped; bin/demo begins it anew."
