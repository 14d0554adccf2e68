"""Where the peer that needs a broker finds one."""

import os


def redis_url() -> str:
    """The Redis server on which a queue of our own may be made."""
    return os.environ.get("ACCORD_TEST_REDIS_URL") or "redis://127.0.0.1:6379/0"
