"""Runs the sandbox until it is told to stop: python -m sandbox --data-dir DIR."""

import argparse
import signal
import sys
from pathlib import Path

from sandbox.servers import Sandbox

SMTP_PORT = 8025
HTTP_PORT = 8026


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=sys.modules["sandbox"].__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder that keeps messages and credentials")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--public-host", help="name under which clients reach it, when it is not the host")
    parser.add_argument("--smtp-port", type=int, default=SMTP_PORT, help="0 takes a free port (default: %(default)s)")
    parser.add_argument("--http-port", type=int, default=HTTP_PORT, help="0 takes a free port (default: %(default)s)")
    parser.add_argument(
        "--report-host", action="append", default=[], help="host, besides this machine, that reports of SMS may go to"
    )
    options = parser.parse_args()
    # Blocked before any thread starts, so that the wait below is the only one to see them.
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    sandbox = Sandbox(
        options.data_dir,
        host=options.host,
        public_host=options.public_host,
        smtp_port=options.smtp_port,
        http_port=options.http_port,
        report_hosts=options.report_host,
    )
    with sandbox:
        print(
            f"Sandbox, nothing is sent to anyone: inbox {sandbox.inbox_url} e-mail {sandbox.email_url} "
            f"Twilio {sandbox.twilio_url} FCM {sandbox.fcm_url} FCM credentials {sandbox.fcm_credentials}",
            flush=True,
        )
        signal.sigwait(signals)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
