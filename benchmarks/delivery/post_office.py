"""django-post_office, the best peer that was found: two processes, 2,000 to a batch, words filled at delivery."""

import os
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

PROCESSES: Final = 2
BATCH: Final = 2000
SENDER: Final = "no-reply@accord.example"
TEMPLATE: Final = "reminder"
SUBJECT: Final = "Les Tilleuls : votre rendez-vous du {{ date }}"
TEXT: Final = """Bonjour,

Nous vous attendons le {{ date }} à {{ time }}.
{% if place %}Lieu : {{ place }}.{% endif %} {% if who %}Avec : {{ who }}.{% endif %}

En cas d’imprévu, appelez le 01 99 00 12 34.

Les Tilleuls
Arrêter ces messages : https://accord.example.org/u/{{ token }}
"""
HTML: Final = (
    '<!doctype html><html lang="fr"><head><meta charset="utf-8"></head><body style="margin:0;background:#f4f5f7">'
    '<div style="max-width:560px;margin:0 auto;padding:24px;background:#ffffff">'
    "{% for line in lines %}<p>{{ line }}</p>{% endfor %}"
    '<p><a href="https://accord.example.org/u/{{ token }}">Arrêter ces messages</a></p></div></body></html>'
)


class PostOffice:
    """The contestant."""

    def __init__(self, database_url: str, _folder: str, port: int) -> None:
        import django  # noqa: PLC0415 - its settings come first
        from django.conf import settings  # noqa: PLC0415 - as above
        from django.core.management import call_command  # noqa: PLC0415 - as above

        parts = urlsplit(database_url)
        settings.configure(
            DATABASES={
                "default": {
                    "ENGINE": "django.db.backends.postgresql",
                    "NAME": parts.path.lstrip("/"),
                    "HOST": parts.hostname,
                    "PORT": parts.port or 5432,
                    "USER": parts.username or "",
                    "PASSWORD": parts.password or "",
                }
            },
            INSTALLED_APPS=["django.contrib.contenttypes", "post_office"],
            EMAIL_BACKEND="post_office.EmailBackend",
            EMAIL_HOST="127.0.0.1",
            EMAIL_PORT=port,
            USE_TZ=True,
            DEFAULT_AUTO_FIELD="django.db.models.AutoField",
            POST_OFFICE={
                "BACKENDS": {"default": "django.core.mail.backends.smtp.EmailBackend"},
                "BATCH_SIZE": BATCH,
                "LOG_LEVEL": 1,
                "THREADS_PER_PROCESS": 5,
            },
            TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        )
        django.setup()
        call_command("migrate", verbosity=0, skip_checks=True)
        from post_office.models import EmailTemplate  # noqa: PLC0415 - once Django is set up

        self._template = EmailTemplate.objects.create(name=TEMPLATE, subject=SUBJECT, content=TEXT, html_content=HTML)
        self._made = 0

    def queue(self, messages: int) -> None:
        """So many rows with their values; the words are filled when they are sent."""
        from post_office.models import PRIORITY, STATUS, Email  # noqa: PLC0415 - once Django is set up

        rows = []
        for _ in range(messages):
            self._made += 1
            rows.append(
                Email(
                    from_email=SENDER,
                    to=[f"patient.{self._made}@example.org"],
                    template=self._template,
                    context=values(self._made),
                    priority=PRIORITY.medium,
                    status=STATUS.queued,
                )
            )
        Email.objects.bulk_create(rows, batch_size=1000)

    def send(self, messages: int) -> None:
        """Until the queue is empty, as its command does."""
        from django.db import connection  # noqa: PLC0415 - once Django is set up
        from post_office.mail import send_queued  # noqa: PLC0415 - as above

        sent = 0
        while sent < messages:
            # It forks: a connection that both sides hold would be closed by whichever ends first.
            connection.close()
            done = send_queued(processes=PROCESSES)
            if not done[0]:
                break
            sent += done[0]
        connection.close()
        if sent != messages:
            raise ValueError(f"{sent} of {messages} were sent")

    def processes(self) -> list[int]:
        """Whose processor time counts: those it starts for a batch are waited for, and count with it."""
        return [os.getpid()]


def values(number: int) -> dict[str, Any]:
    """What one message says that others do not."""
    minutes = timedelta(minutes=8 * 60 + number % 40 * 15)
    time = f"{minutes.seconds // 3600}h{minutes.seconds // 60 % 60:02d}"
    words = {"date": "jeudi 15 octobre", "time": time, "place": "Cabinet 2", "who": "Dr Exemple"}
    lines = [f"Nous vous attendons le jeudi 15 octobre à {time}.", "Lieu : Cabinet 2. Avec : Dr Exemple.", "Bonjour,"]
    return {**words, "token": f"{number:022d}", "lines": lines}
