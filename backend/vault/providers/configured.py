"""The key provider that the settings name."""

from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from backend.vault.providers.base import KeyProvider
from backend.vault.providers.file import FileKeyProvider
from backend.vault.providers.transit import TransitKeyProvider, VaultSettingRefused, VaultSettings


def configured_provider() -> KeyProvider:
    """The key provider of this installation. One whose settings are refused says so when it is asked."""
    if settings.ACCORD_KEY_PROVIDER == "vault":
        return TransitKeyProvider(_vault())
    return FileKeyProvider(Path(settings.ACCORD_KEY_FILE))


def complaints() -> Iterator[str]:
    """What is wrong with the settings of the key provider, each in a sentence that names its setting."""
    if settings.ACCORD_KEY_PROVIDER != "vault":
        return
    for name in ("URL", "TOKEN"):
        if not getattr(settings, f"ACCORD_VAULT_{name}"):
            yield f"ACCORD_KEY_PROVIDER is vault and ACCORD_VAULT_{name} is not set."
            return
    try:
        _vault().refuse_unfit()
    except VaultSettingRefused as error:
        yield f"ACCORD_VAULT_*: {error}"


def _vault() -> VaultSettings:
    return VaultSettings(
        url=settings.ACCORD_VAULT_URL,
        key=settings.ACCORD_VAULT_KEY,
        mount=settings.ACCORD_VAULT_MOUNT,
        namespace=settings.ACCORD_VAULT_NAMESPACE,
        token=settings.ACCORD_VAULT_TOKEN,
    )
