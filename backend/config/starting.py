"""First start: the key file and the system's keys, made once."""

from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS

from backend.audit.keys import ensure_system_keys
from backend.audit.models import ClinicKey
from backend.vault.keyring import keyring
from backend.vault.providers import FileKeyProvider, KeysUnavailable


def prepare_keys(*, now: datetime, using: str = DEFAULT_DB_ALIAS) -> None:
    """Make the key file and the system's keys at first start.

    Raises KeysUnavailable where the database holds keys already and the key file is gone: making a new file would turn
    lost keys into a loss that nobody notices.
    """
    provider = keyring().provider
    # In this order: of two processes that start at once, one may make file and rows between two looks of the other.
    has_keys = ClinicKey.objects.using(using).exists()
    if isinstance(provider, FileKeyProvider) and not provider.exists():
        if has_keys:
            name = Path(settings.ACCORD_KEY_FILE).name
            raise KeysUnavailable(
                f"The database holds keys, but the key file {name} is gone. Bring it back from its own backup: "
                "without it nothing that is sealed can be read."
            )
        provider.create()
    ensure_system_keys(now=now, using=using)
