"""Installs the key store, and the checks that no guard is missing."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The audit log."""

    name = "backend.audit"
    label = "audit"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Wire the keyring to its provider and its tables."""
        from backend.audit import checks  # noqa: F401, PLC0415 - registers the checks once models are there
        from backend.audit.keys import DatabaseKeyStore  # noqa: PLC0415 - models are not ready before
        from backend.vault.keyring import Keyring, install  # noqa: PLC0415 - beside its store
        from backend.vault.providers.configured import configured_provider  # noqa: PLC0415 - beside its store

        install(Keyring(provider=configured_provider(), store=DatabaseKeyStore()))
