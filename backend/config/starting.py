"""First start: the key file and the system's keys, made once; every later start: that they open."""

from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS

from backend.audit.keys import ensure_system_keys
from backend.audit.models import ClinicKey
from backend.vault.ciphers import Tampered
from backend.vault.keyring import SYSTEM, KeyDestroyed, Keyring, KeyUnavailable, Scope, keyring
from backend.vault.providers import FileKeyProvider, KeysUnavailable


def prepare_keys(*, now: datetime, using: str = DEFAULT_DB_ALIAS) -> None:
    """Make the key file and the system's keys at first start; at every start see that they open.

    Raises KeysUnavailable, with a sentence for whoever runs the installation: where the key file can not be read, is
    open to others or is not the one of this database; and where the database holds keys already and the key file is
    gone, since making a new file would turn lost keys into a loss that nobody notices.
    """
    provider = keyring().provider
    # In this order: of two processes that start at once, one may make file and rows between two looks of the other.
    has_keys = ClinicKey.objects.using(using).exists()
    if isinstance(provider, FileKeyProvider):
        _have_key_file(provider, has_keys=has_keys)
    ensure_system_keys(now=now, using=using)
    if using == DEFAULT_DB_ALIAS:
        open_system_keys()


def open_system_keys() -> None:
    """Unwrap one key of the system, as it is stored; raises KeysUnavailable where that can not be done."""
    name = Path(settings.ACCORD_KEY_FILE).name
    # A keyring without memory, so that what is read is what the database holds now.
    fresh = Keyring(provider=keyring().provider, store=keyring().store)
    try:
        fresh.current(clinic_id=SYSTEM, scope=Scope.WRITER_MAC)
    except Tampered as error:
        raise KeysUnavailable(
            f"The key file {name} is not the one that this database's keys were wrapped with. "
            "Bring that one back from its backup: with another one nothing that is sealed can be read."
        ) from error
    except (KeyUnavailable, KeyDestroyed) as error:
        raise KeysUnavailable(
            "The database holds some of the system's keys and not all of them: restore it whole from a backup."
        ) from error


def _have_key_file(provider: FileKeyProvider, *, has_keys: bool) -> None:
    try:
        if provider.exists():
            return
        if has_keys:
            raise KeysUnavailable(
                f"The database holds keys, but the key file {provider.path.name} is gone. Bring it back from its own "
                "backup: without it nothing that is sealed can be read."
            )
        provider.create()
    except OSError as error:
        raise KeysUnavailable(
            f"The key file {provider.path.name} can not be made or looked at ({error.strerror}): see ACCORD_KEY_FILE."
        ) from error
