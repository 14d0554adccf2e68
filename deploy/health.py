"""The container's health check: does the web process answer on /health? Only the standard library is used."""

import os
import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit


def main() -> int:
    """Exit code 0 when the answer is 200."""
    public = urlsplit(os.environ.get("ACCORD_PUBLIC_URL", "http://127.0.0.1"))
    port = os.environ.get("ACCORD_PORT", "8000")
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/health",
        # As the proxy in front would ask: under the public name, saying which scheme it was asked with.
        headers={"Host": public.netloc, "X-Forwarded-Proto": public.scheme},
    )
    try:
        with urllib.request.urlopen(request, timeout=4) as answer:
            return 0 if answer.status == 200 else 1
    except (urllib.error.URLError, OSError):
        return 1


if __name__ == "__main__":
    sys.exit(main())
