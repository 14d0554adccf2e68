"""The container's health check: does the web process answer on /health? Only the standard library is used."""

import http.client
import os
import sys
from urllib.parse import urlsplit


def main() -> int:
    """Exit code 0 when the answer is 200."""
    public = urlsplit(os.environ.get("ACCORD_PUBLIC_URL", "http://127.0.0.1"))
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("ACCORD_PORT", "8000")), timeout=4)
    # As the proxy in front would ask: under the public name, saying which scheme it was asked with.
    headers = {"Host": public.netloc, "X-Forwarded-Proto": public.scheme}
    try:
        connection.request("GET", "/health", headers=headers)
        return 0 if connection.getresponse().status == http.HTTPStatus.OK else 1
    except (OSError, http.client.HTTPException):
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
