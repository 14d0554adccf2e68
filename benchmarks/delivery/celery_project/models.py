"""One message."""

from django.db import models


class Reminder(models.Model):
    """What is to be said to whom, and whether it was."""

    number = models.PositiveIntegerField(unique=True)
    to = models.EmailField()
    words = models.JSONField()
    sent = models.BooleanField(default=False)

    objects: "models.Manager[Reminder]" = models.Manager()

    class Meta:
        app_label = "celery_project"
        indexes = [models.Index(fields=["sent"], name="reminder_sent")]
