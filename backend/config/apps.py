"""The checks and commands of the installation itself."""

from django.apps import AppConfig


class AccordConfig(AppConfig):
    """Registers the checks of an installation."""

    name = "backend.config"
    label = "accord"

    def ready(self) -> None:
        """Register the checks once models are there."""
        from backend.config import checks  # noqa: F401, PLC0415 - delivery's pace stands beside its models
