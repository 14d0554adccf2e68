"""The process of one contestant: `python -m benchmarks.audit.worker NAME DATABASE_URL FOLDER`."""

import importlib
import sys
from pathlib import Path

import django
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from benchmarks.audit.contestants import CONTESTANTS, settings_of
from benchmarks.lanes import serve


def main() -> None:
    """Set the contestant up in an empty database, then do as it is told."""
    name, database_url, folder = sys.argv[1:]
    contestant = CONTESTANTS[name]
    settings.configure(**settings_of(contestant, database_url=database_url, folder=Path(folder)))
    django.setup()
    call_command("migrate", verbosity=0, skip_checks=True)
    with connection.schema_editor() as editor:
        for model in apps.get_app_config(contestant.package.rpartition(".")[2]).get_models():
            editor.create_model(model)
    lane = importlib.import_module(f"{contestant.package}.lane")
    lane.set_up()
    serve(lane.TASKS, lane.QUESTIONS)


if __name__ == "__main__":
    main()
