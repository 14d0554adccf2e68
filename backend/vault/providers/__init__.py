"""Where the topmost key lives: a file, or HashiCorp Vault (OpenBao speaks the same)."""

from backend.vault.providers.base import EpochDestroyed, KeyProvider, KeysUnavailable
from backend.vault.providers.file import FileKeyProvider
from backend.vault.providers.transit import TransitKeyProvider

__all__ = ["EpochDestroyed", "FileKeyProvider", "KeyProvider", "KeysUnavailable", "TransitKeyProvider"]
