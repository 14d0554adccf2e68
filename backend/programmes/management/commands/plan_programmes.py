"""`manage.py plan_programmes`: plan what comes due, once."""

from typing import Any

from django.core.management.base import BaseCommand

from backend import clock
from backend.programmes import operations


class Command(BaseCommand):
    """Plan the messages of every running programme that come due within a day."""

    help = "Plan the messages of every running programme that come due within a day."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run."""
        for name, planned in operations.plan_programmes(now=clock.now()).items():
            self.stdout.write(f"{name}: {planned.planned} planned, {planned.withheld} withheld")
