"""First start: the topmost key and the system's keys, made once; every later start: that they open."""

from datetime import datetime

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections

from backend.audit.keys import ensure_system_keys
from backend.audit.models import AuditEntry, ClinicKey
from backend.audit.restoring import reconcile_ledger, transaction_numbers_started_over
from backend.vault.ciphers import Tampered
from backend.vault.keyring import SYSTEM, KeyDestroyed, Keyring, KeyUnavailable, Scope, keyring
from backend.vault.providers import KeysUnavailable


def prepare_keys(*, now: datetime, using: str = DEFAULT_DB_ALIAS) -> None:
    """Make the topmost key and the system's keys at first start; at every start see that they open.

    Raises KeysUnavailable, with a sentence for whoever runs the installation: where the key file can not be read, is
    open to others or is not the one of this database; where the database holds keys already and the topmost key is
    gone, since making a new one would turn lost keys into a loss that nobody notices; and where it holds a log and no
    keys, as a backup of the data does before that of the keys is brought back.
    """
    # In this order: of two processes that start at once, one may make file and rows between two looks of the other.
    has_keys = ClinicKey.objects.using(using).exists()
    if not has_keys and AuditEntry.objects.using(using).exists() and not ClinicKey.objects.using(using).exists():
        raise KeysUnavailable(
            "The database holds a log and no keys: it was restored without its keys. Restore both with manage.py "
            "restore; without the keys nothing that is sealed can be read."
        )
    keyring().provider.prepare(has_keys=has_keys)
    ensure_system_keys(now=now, using=using)
    if using == DEFAULT_DB_ALIAS:
        open_system_keys()


def open_system_keys() -> None:
    """Unwrap one key of the system, as it is stored; raises KeysUnavailable where that can not be done."""
    # A keyring without memory, so that what is read is what the database holds now.
    fresh = Keyring(provider=keyring().provider, store=keyring().store)
    try:
        fresh.current(clinic_id=SYSTEM, scope=Scope.WRITER_MAC)
    except Tampered as error:
        raise KeysUnavailable(
            f"{fresh.provider.describe()} is not the one that this database's keys were wrapped with. "
            "Bring that one back from its backup: with another one nothing that is sealed can be read."
        ) from error
    except (KeyUnavailable, KeyDestroyed) as error:
        raise KeysUnavailable(
            "The database holds some of the system's keys and not all of them: restore it whole from a backup."
        ) from error


def see_that_nothing_was_brought_back(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """Refuse a database from a backup in which destroyed keys live, or whose log can not go on yet.

    Returns how many destroyed keys the ledger lacked. Raises KeysUnavailable with a sentence that says what to run.
    """
    added = reconcile_ledger(using=using)
    if transaction_numbers_started_over(using=using):
        raise KeysUnavailable(
            "This database was restored into another PostgreSQL, whose transaction numbers are behind those of its "
            "log: run manage.py audit_restored as its owner, after which the log goes on."
        )
    return added


def reasons_not_to_serve() -> str:
    """Why a serving process must not start, as far as its database can be asked; empty where there is no reason.

    One that can not be reached, or is not up to date, is /health's to tell: nothing is served from it.
    """
    try:
        see_that_nothing_was_brought_back()
    except KeysUnavailable as error:
        return str(error)
    except DatabaseError:
        return ""
    finally:
        connections.close_all()
    return ""
