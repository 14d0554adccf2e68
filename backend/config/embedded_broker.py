"""The embedded broker: files in the data folder. A wake-up is there as a whole, or not at all."""

from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, Final
from uuid import uuid4

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.encoding import str_to_bytes
from kombu.utils.json import dumps

ALIAS: Final = "filesystem"


class Channel(filesystem.Channel):
    """As kombu's, which makes the file first and writes it then: a reader in between met an empty one, and gave up."""

    def _put(self, queue: str, payload: Any, **_options: Any) -> None:  # type: ignore[override] # two bases name it differently
        """Write beside, then rename: a name that a reader looks for never stands for half a message."""
        folder = Path(self.data_folder_out)
        whole = folder / f"{round(monotonic() * 1000)}_{uuid4()}.{queue}.msg"
        draft = folder / f".{whole.name}.draft"
        try:
            draft.write_bytes(str_to_bytes(dumps(payload)))
            draft.replace(whole)
        except OSError as error:
            with suppress(OSError):
                draft.unlink()
            raise ChannelError(f"The wake-up can not be written to {folder} ({error.strerror}).") from error


class Transport(filesystem.Transport):
    """kombu's file transport with our channel."""

    Channel = Channel


def use() -> None:
    """Have every connection of this process that speaks of files use ours."""
    TRANSPORT_ALIASES[ALIAS] = f"{__name__}:Transport"
