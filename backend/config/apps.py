"""The checks and commands of the installation itself."""

from django.apps import AppConfig


class AccordConfig(AppConfig):
    """Registers the checks of an installation."""

    name = "backend.config"
    label = "accord"
