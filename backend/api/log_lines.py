"""Lines of the process's own log that would otherwise hold what a stranger sent."""

import logging


class WithoutHost(logging.Filter):
    """A request for a host that is not ours: one line that says so. Scanners send hundreds a day, with any text."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave out the name that was asked for, and the traceback that repeats it."""
        record.msg, record.args = "A request named a host that ACCORD_ALLOWED_HOSTS does not.", ()
        record.exc_info, record.exc_text = None, None
        return True
