"""The task."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.delivery.celery_project.settings")

app = Celery("bench")
app.config_from_object("django.conf:settings", namespace="CELERY")


@app.task(name="bench.send")
def send(number: int) -> None:
    """Send one message."""
    from django.core.mail import EmailMultiAlternatives  # noqa: PLC0415 - once Django is set up
    from django.template import Context, Template  # noqa: PLC0415 - as above

    from benchmarks.delivery.celery_project.models import Reminder  # noqa: PLC0415 - as above
    from benchmarks.delivery.post_office import HTML, SENDER, SUBJECT, TEXT  # noqa: PLC0415 - as above

    row = Reminder.objects.get(number=number)
    subject, text, html = (Template(source).render(Context(row.words)) for source in (SUBJECT, TEXT, HTML))
    message = EmailMultiAlternatives(subject, text, SENDER, [row.to])
    message.attach_alternative(html, "text/html")
    message.send()
    row.sent = True
    row.save(update_fields=["sent"])
