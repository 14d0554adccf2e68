"""The web application, for gunicorn."""

import os
import sys

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")
application = get_wsgi_application()

from backend.config.starting import reasons_not_to_serve  # noqa: E402 - apps are not ready before

if reason := reasons_not_to_serve():
    sys.stderr.write(f"{reason}\n")
    # What gunicorn takes for "do not try again".
    raise SystemExit(3)
