"""Puts the signed checkpoints, once a day, where the data protection officer keeps them: a folder, a mailbox.

What is kept there can not be changed by whoever holds our database, our keys or our machines; a log that was cut off or
rewritten no longer fits it. A place that can not be reached raises an alarm and is tried again: nothing waits for it.
"""

import smtplib
import ssl
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from django.conf import settings
from django.db import IntegrityError

from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.growing import alarm
from backend.audit.models import AuditAnchor, AuditCheckpoint, AuditLog
from backend.audit.notes import origin_of
from backend.audit.recording import record
from backend.vault.keyring import SYSTEM

SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A checkpoint to be kept."""

    log_id: int
    name: str
    size: int
    note: str


class PlaceUnreachable(Exception):
    """The place could not take the checkpoints; the sentence says why, without any secret."""


class Place(Protocol):
    """Where checkpoints are kept."""

    name: str

    def put(self, signed: Sequence[Signed], day: date) -> None:
        """Keep them. Raises PlaceUnreachable; putting the same again does no harm."""
        ...


class Folder:
    """A folder that belongs to the data protection officer: a mounted share, an archive that can not be overwritten."""

    name = "folder"

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, signed: Sequence[Signed], day: date) -> None:
        """One file for each log, in a folder of the day. What is there already is left as it is."""
        try:
            folder = self.path / day.isoformat()
            folder.mkdir(parents=True, exist_ok=True)
            for one in signed:
                path = folder / f"{one.name}-{one.size}.checkpoint"
                if not path.exists():
                    path.write_text(one.note, encoding="utf-8")
        except OSError as error:
            raise PlaceUnreachable(f"The folder can not be written ({error.strerror}).") from error


class Mailbox:
    """A mailbox that belongs to the data protection officer. The checkpoints hold no personal data."""

    name = "mailbox"

    def __init__(self, *, url: str, sender: str, recipient: str) -> None:
        self._url, self._sender, self._recipient = urlsplit(url), sender, recipient

    def put(self, signed: Sequence[Signed], day: date) -> None:
        """One mail, each checkpoint a file of its own."""
        mail = EmailMessage()
        mail["From"], mail["To"] = self._sender, self._recipient
        mail["Subject"] = f"Accord : points de contrôle du journal / log checkpoints, {day.isoformat()}"
        mail["Message-ID"] = f"<checkpoints-{day.isoformat()}-{signed[0].name}@{self._sender.rpartition('@')[2]}>"
        mail.set_content(
            "Conservez ce message. Il prouve l’état du journal à cette date : une copie du journal d’où une entrée "
            "manque, ou qui a été réécrite, ne lui correspond plus.\n\n"
            "Keep this message. It proves what the log was on this day: a copy of the log from which an entry was "
            "taken away, or that was rewritten, does not fit it any more.\n\n"
            "python verifier.py BUNDLE --checkpoint FILE\n"
        )
        for one in signed:
            mail.add_attachment(
                one.note.encode(), maintype="application", subtype="octet-stream", filename=f"{one.name}.checkpoint"
            )
        try:
            self._send(mail)
        except (OSError, smtplib.SMTPException) as error:
            raise PlaceUnreachable(f"The mail server did not take the message ({type(error).__name__}).") from error

    def _send(self, mail: EmailMessage) -> None:
        secure = parse_qs(self._url.query).get("tls", ["none"])[0]
        context = ssl.create_default_context()
        host, port = self._url.hostname or "", self._url.port or 25
        with ExitStack() as closing:
            server: smtplib.SMTP = closing.enter_context(
                smtplib.SMTP_SSL(host, port, timeout=SECONDS, context=context)
                if secure == "implicit"
                else smtplib.SMTP(host, port, timeout=SECONDS)
            )
            if secure == "starttls":
                server.starttls(context=context)
            if self._url.username:
                server.login(unquote(self._url.username), unquote(self._url.password or ""))
            server.send_message(mail)


def configured_places() -> list[Place]:
    """The places that the settings name."""
    places: list[Place] = []
    if settings.ACCORD_ANCHOR_DIR:
        places.append(Folder(Path(settings.ACCORD_ANCHOR_DIR)))
    if settings.ACCORD_ANCHOR_EMAIL and settings.ACCORD_EMAIL_URL:
        places.append(
            Mailbox(
                url=settings.ACCORD_EMAIL_URL,
                sender=settings.ACCORD_EMAIL_FROM,
                recipient=settings.ACCORD_ANCHOR_EMAIL,
            )
        )
    return places


def send_checkpoints(*, now: datetime, places: Sequence[Place]) -> int:
    """Put the last checkpoint of every log in every place, once a day (UTC); how many were put.

    A log that has not grown since is sent all the same: a day without a checkpoint would look like a day without a log.
    """
    day = now.astimezone(UTC).date()
    return sum(_put(place, day=day, now=now) for place in places)


def _put(place: Place, *, day: date, now: datetime) -> int:
    there = set(AuditAnchor.objects.filter(day=day, place=place.name).values_list("log_id", flat=True))
    signed = [one for one in _last_checkpoints() if one.log_id not in there]
    if not signed:
        return 0
    try:
        place.put(signed, day)
    except PlaceUnreachable as error:
        alarm.error("today's checkpoints did not reach the %s: %s", place.name, error)
        return 0
    try:
        with record(
            Action.CHECKPOINTS_SENT,
            by=system_actor("anchor"),
            now=now,
            clinic_id=SYSTEM,
            count=len(signed),
            place=place.name,
        ):
            AuditAnchor.objects.bulk_create(
                AuditAnchor(log_id=one.log_id, day=day, place=place.name, size=one.size, at=now) for one in signed
            )
    except IntegrityError:
        # Another worker put them at the same moment: they are there twice, which does no harm.
        return 0
    return len(signed)


def _last_checkpoints() -> list[Signed]:
    found = []
    for log in AuditLog.objects.order_by("id"):
        last = AuditCheckpoint.objects.filter(log_id=log.id).order_by("-size").first()
        if last is not None:
            name = origin_of(log.origin).rpartition("/")[2]
            found.append(Signed(log_id=log.id, name=name, size=last.size, note=last.note))
    return found
