"""The story of one morning, told step by step on the real thing."""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import QuerySet
from tqdm import tqdm

from backend import clock
from backend.audit.actions import Action
from backend.audit.actors import system_actor
from backend.audit.recording import record
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.models import Message
from backend.patients.operations import ImportRow, RowOutcome, import_records
from backend.patients.queries import reveal_contact_values
from backend.patients.sources.fhir import FhirFolder, read_folder
from backend.patients.sources.lines import count_lines
from backend.patients.sources.reasons import REASONS
from backend.policy.vocabulary import Language, MessageState
from backend.programmes.operations import plan_programmes
from backend.programmes.operations.installing import install_library
from demo.cast import CLINIC_FOLDER, Cast, meet_patients, own_choices, sandbox_choices, set_up_clinic
from demo.choosing import Chosen, take_down
from demo.client import Client
from demo.proving import Proving
from demo.stage import Stage, stage
from demo.telling import Telling

ZONE: Final = ZoneInfo("Europe/Paris")
SHOWN: Final = 12
SHOWN_OF_MESSAGE: Final = ("channel", "language", "tone", "purpose")
HANDED_OVER: Final = (MessageState.SENT, MessageState.DELIVERED)
NOT_A_CONTACT: Final = ("phone_", "email_", "contact_")


def tell(*, fhir: Path | None, report: Path | None, once: bool) -> bool:
    """Tell it; True when everything held."""
    with stage(once=once) as running:
        story = _Story(running, fhir)
        story.play()
        written = story.report(settings.ACCORD_PORT)
        if report is not None:
            report.write_text(json.dumps(written, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        story.end(once=once, written=written)
        return not story.telling.failed


@dataclass(slots=True)
class _Story:
    stage: Stage
    fhir: Path | None
    telling: Telling = field(default_factory=Telling)
    cast: Cast = field(init=False)
    chosen: Chosen = field(default_factory=Chosen)
    rows: list[ImportRow] = field(default_factory=list)
    source: FhirFolder = field(init=False)
    not_read: list[dict[str, Any]] = field(default_factory=list)
    reach: Counter[str] = field(default_factory=Counter)
    would: int = 0
    programmes: dict[str, str] = field(default_factory=dict)
    withdrawer: UUID | None = None
    after_withdrawal: dict[str, int] = field(default_factory=lambda: {"handed_over": 0, "withheld": 0})
    proving: Proving = field(init=False)

    @property
    def is_own(self) -> bool:
        return self.fhir is None

    @property
    def desk(self) -> Client:
        return Client(self.stage.base_url, self.cast.staff_token)

    @property
    def officer(self) -> Client:
        return Client(self.stage.base_url, self.cast.dpo_token)

    def play(self) -> None:
        """Every chapter in order."""
        self.cast = set_up_clinic(is_own=self.is_own)
        self.programmes = {
            slug: str(programme_id)
            for slug, programme_id in install_library(
                clinic_id=self.cast.clinic_id, actor=self.cast.staff, now=clock.now()
            ).items()
        }
        day = clock.now().astimezone(ZONE)
        self.telling.title("Accord: what happens on one morning")
        self.telling.say(
            f"{self.cast.name}, {day.strftime('%A')} {day.day} {day.strftime('%B %Y, %H:%M')} in Paris. "
            "Nothing is sent to anyone: the real SMS, push and e-mail adapters talk to servers on this machine."
            + (" Everybody is invented." if self.is_own else "")
        )
        self.bring_in()
        self.choose()
        self.approve()
        self.plan()
        self.withdraw()
        self.proving.keep_checkpoint()
        self.deliver()
        self.withhold()
        self.explain()
        self.proving.verify(sent=set(_sent().values_list("id", flat=True)))
        self.proving.tamper()

    # -------------------------------------------------------------------------------------------------- chapters

    def bring_in(self) -> None:
        """Import."""
        say = self.telling
        say.chapter("The clinic brings in its patients")
        self._import(self.fhir or CLINIC_FOLDER)
        meet_patients(self.cast)
        kinds = Counter(row.kind for row in self.rows if row.outcome is RowOutcome.CREATED)
        names = {"patient": "patients", "representative": "representatives", "appointment": "appointments"}
        names |= {"immunisation": "immunisations", "encounter": "encounters"}
        say.say("Taken over: " + ", ".join(f"{count} {names.get(kind, kind)}" for kind, count in kinds.items()) + ".")
        dead = sum(person.is_deceased for person in self.cast.people.values())
        say.say(f"{dead} of the patients have died. They are marked, and nothing is ever sent to them.")
        troubles = [row for row in self.rows if row.outcome in {RowOutcome.REFUSED, RowOutcome.UNUSABLE}]
        if troubles:
            say.say(f"{len(troubles)} things could not be used as they stand. Nothing is dropped silently:")
            say.table(_trouble(row) for row in troubles[:SHOWN])
            if len(troubles) > SHOWN:
                say.say(f"... and {len(troubles) - SHOWN} more, all in the report.")
        self.not_read = [{"file": one.file, "lines": one.lines} for one in self.source.ignored() if one.resource_type]
        if self.not_read:
            say.say(
                "Not read, because Accord does not need them: " + ", ".join(one["file"] for one in self.not_read) + "."
            )
        lines = {file.path.name: count_lines(file.path) for file in self.source.files}
        told = Counter(row.where.file for row in self.rows if row.outcome is not RowOutcome.UNUSABLE)
        refused = sum(row.outcome is RowOutcome.REFUSED for row in self.rows)
        say.expect(
            all(told[name] == count for name, count in lines.items()),
            f"every line is accounted for: {sum(lines.values())} lines, {sum(told.values()) - refused} taken over, "
            f"{refused} refused; {counted(len(self.cast.people), 'patient')}",
        )

    def choose(self) -> None:
        """Consents and preferences."""
        say = self.telling
        say.chapter("Patients say yes and no")
        if self.is_own:
            choices = own_choices()
            say.say(
                "In the clinic's app (our REST API, one token per patient) and on signed forms that staff take down. "
                "Who says nothing has said no."
            )
        else:
            choices = sandbox_choices(self.cast)
            say.say(
                "These files hold no consents. So every living adult is given a SANDBOX device, and a SANDBOX yes to "
                "both purposes in the app. Both are invented for this demonstration; children are given none."
            )
        self.chosen = take_down(self.cast, choices, stage=self.stage)
        done = self.chosen
        say.table(
            [
                ["consents given", ", ".join(f"{count} by {how}" for how, count in sorted(done.given.items()))],
                ["consents refused, withdrawn", f"{done.refused}, {done.withdrawn}"],
                ["devices with the app", str(done.devices)],
                [
                    "contact points",
                    f"{done.verified} verified by a code that was sent there, {done.attested} attested by staff",
                ],
                ["preferences set", str(done.preferences)],
            ]
        )

    def approve(self) -> None:
        """Dry run and approval."""
        say = self.telling
        say.chapter("Two programmes are looked at, approved by a doctor, and started")
        for slug, programme_id in sorted(self.programmes.items()):
            path = f"/clinics/{self.cast.slug}/programmes/{programme_id}"
            reach = self.desk.post(f"{path}/reach")
            self.would += reach["would"]
            self.reach.update(reach["would_not"])
            say.say(
                f"Dry run of {slug}: {counted(reach['would'], 'message')} would go out by tomorrow, "
                f"{reach['kept_back']} would not."
            )
            if reach["would_not"]:
                say.say("The reasons against; a message may have several:")
                say.table([reason, str(count)] for reason, count in sorted(reach["would_not"].items()))
            self.desk.post(f"{path}/approve")
            self.officer.post(
                f"/clinics/{self.cast.slug}/purposes/{slug}/assess", {"reference": "made up for the demo"}
            )
            self.desk.post(f"{path}/start")
        say.expect(len(self.stage.sandbox.received()) == self.chosen.verified, "the dry run sent nothing")

    def plan(self) -> None:
        """Planning, and what changes meanwhile."""
        say = self.telling
        say.chapter("Messages are planned" + ("; then the appointment book changes" if self.is_own else ""))
        plan_programmes(now=clock.now())
        queued = Message.objects.filter(state__in=[MessageState.PLANNED, MessageState.DEFERRED]).count()
        say.say(f"Queued: {counted(queued, 'message')}, each with the verdict and the consent event that permits it.")
        if self.is_own:
            before = len(self.rows)
            self._import(CLINIC_FOLDER / "later")
            changed = [row for row in self.rows[before:] if row.outcome is RowOutcome.UPDATED]
            say.say(f"The practice software sends {len(changed)} changes: one appointment moved, one cancelled.")

    def withdraw(self) -> None:
        """Some messages leave, then one patient withdraws."""
        say = self.telling
        say.chapter("One patient withdraws while messages are queued")
        first = deliver_due_messages(now=clock.now(), carriers=self.stage.carriers, at_most=10)
        say.say(f"Sent so far: {counted(first.counts[MessageState.SENT], 'message')}. The others wait.")
        self.proving = Proving.begin(say, self.cast, self.stage.base_url)
        say.say("The log up to here is exported to a file; it comes back in chapter 11.")
        queued = self._find_withdrawal()
        person = self.cast.person(queued.patient_id)
        self.withdrawer = person.id
        waiting = Message.objects.filter(
            patient_id=person.id,
            purpose_id=queued.purpose_id,
            channel=queued.channel,
            state__in=[MessageState.PLANNED, MessageState.DEFERRED],
        )
        ids = list(waiting.values_list("id", flat=True))
        answer = self.cast.app_of(person.source_id, self.stage.base_url).post(
            "/me/consents",
            {"purpose": queued.purpose.slug, "channels": [queued.channel], "decision": "withdrawn"},
        )
        say.say(
            f"{person.name} withdraws {queued.purpose.slug} by {queued.channel}, in the app. "
            f"Queued for them at this moment: {counted(len(ids), 'such message')}."
        )
        say.expect(answer["confirmed"] is True, "the API answers: confirmed, nothing more leaves")
        before = len(self.stage.sandbox.received())
        self._deliver()
        states = Counter(Message.objects.filter(id__in=ids).values_list("state", flat=True))
        self.after_withdrawal = {
            "handed_over": sum(states[state] for state in HANDED_OVER),
            "withheld": states[MessageState.WITHHELD],
        }
        say.expect(self.after_withdrawal["handed_over"] == 0, "none of them was handed over")
        say.expect(
            self.after_withdrawal["withheld"] == len(ids),
            f"{counted(len(ids), 'message')} stored as withheld, with the reason and the withdrawal",
        )
        say.say(f"Meanwhile {counted(len(self.stage.sandbox.received()) - before, 'message')} left for others.")

    def deliver(self) -> None:
        """What left."""
        say = self.telling
        say.chapter("What left, by the real adapters, into the sandbox")
        handed_over = self._handed_over()
        say.table(
            [
                ["to", "channel", "language", "tone", "purpose"],
                *(
                    [self.cast.people[one["patient"]].name, *(one[key] for key in SHOWN_OF_MESSAGE)]
                    for one in handed_over[:SHOWN]
                ),
            ]
        )
        if len(handed_over) > SHOWN:
            say.say(f"... and {len(handed_over) - SHOWN} more.")
        # The one-time codes of chapter 2 came first.
        received = self.stage.sandbox.received()[self.chosen.verified :]
        for channel in ("sms", "push", "email"):
            of_channel = [one for one in received if one.channel == channel]
            if of_channel:
                say.say(f"One of {len(of_channel)} by {channel}, as it arrived:")
                if of_channel[-1].subject:
                    say.quote(f"« {of_channel[-1].subject} »")
                say.quote(of_channel[-1].text)
        say.expect(len(received) == len(handed_over), f"the sandbox received {len(received)}, exactly those")
        dead = [one for one in handed_over if self.cast.people[one["patient"]].is_deceased]
        say.expect(not dead, "nothing went to anybody who has died")

    def withhold(self) -> None:
        """What did not leave."""
        say = self.telling
        say.chapter("What did not leave, and why")
        withheld = self._withheld()
        say.table(
            [self.cast.people[one["patient"]].name, one["channel"], ", ".join(one["reasons"])] for one in withheld[:24]
        )
        if not withheld:
            say.say("Nothing was withheld.")
        later = Message.objects.filter(state__in=[MessageState.PLANNED, MessageState.DEFERRED]).count()
        if later:
            say.say(f"{later} more wait: for the patient's quiet hours to end, or for their day.")
        unsettled = Message.objects.filter(state__in=[MessageState.HANDING_OVER, MessageState.IN_DOUBT]).count()
        say.expect(unsettled == 0, "no message is lost or in doubt")

    def explain(self) -> None:
        """Why did I get this?"""
        say = self.telling
        say.chapter("Every message explains itself")
        for state in (MessageState.SENT, MessageState.WITHHELD):
            message = Message.objects.filter(state=state, programme__isnull=False).order_by("id").first()
            if message is not None:
                person = self.cast.person(message.patient_id)
                app = self.cast.app_of(person.source_id, self.stage.base_url)
                why = app.get(f"/me/messages/{message.id}/why?language=en")
                say.say(f"{person.name} asks why a message was {state.value}:")
                for sentence in why["sentences"]:
                    say.quote(sentence)

    # --------------------------------------------------------------------------------------------------- helpers

    def _import(self, folder: Path) -> None:
        self.source = source = read_folder(
            folder, region="FR", zone="Europe/Paris", today=clock.now().astimezone(ZONE).date()
        )
        with tqdm(total=source.size, unit="B", unit_scale=True, desc="   reading", leave=False, disable=None) as bar:

            def on_row(row: ImportRow) -> None:
                self.rows.append(row)
                bar.update(source.position - bar.n)

            import_records(
                clinic_id=self.cast.clinic_id,
                records=source.records(),
                source="fhir",
                actor=system_actor("import"),
                now=clock.now(),
                on_row=on_row,
            )

    def _deliver(self) -> None:
        deliver_due_messages(now=clock.now(), carriers=self.stage.carriers)

    def _find_withdrawal(self) -> Message:
        """Whoever the story says; else whoever has most queued; else somebody for whom staff book an appointment."""
        named = [
            (source_id, choice["withdraws"])
            for source_id, choice in (own_choices() if self.is_own else {}).items()
            if "withdraws" in choice
        ]
        queued = Message.objects.filter(
            state__in=[MessageState.PLANNED, MessageState.DEFERRED], due_at__lte=clock.now()
        ).select_related("purpose")
        for source_id, what in named:
            own: Message | None = queued.filter(
                patient_id=self.cast.people[source_id].id, purpose__slug=what["purpose"], channel=what["channel"]
            ).first()
            if own is not None:
                return own
        any_queued: Message | None = queued.order_by("-id").first()
        return any_queued or self._book_one()

    def _book_one(self) -> Message:
        consenting = next(person for person in self.cast.people.values() if person.source_id in self.cast.tokens)
        sent = Message.objects.filter(state=MessageState.SENT).first()
        person = consenting if sent is None else self.cast.person(sent.patient_id)
        starts_at = (clock.now() + timedelta(days=1)).isoformat()
        self.desk.post(
            f"/clinics/{self.cast.slug}/occasions",
            {"patient": str(person.id), "kind": "appointment", "starts_at": starts_at, "status": "booked"},
        )
        self.telling.say(
            f"Nothing is queued any more, so the desk books a SANDBOX appointment for {person.name} tomorrow; "
            "a reminder is planned for it."
        )
        plan_programmes(now=clock.now())
        planned = Message.objects.select_related("purpose").filter(state=MessageState.PLANNED)
        booked: Message = planned.filter(patient_id=person.id).latest("id")
        return booked

    def _handed_over(self) -> list[dict[str, str]]:
        rows = list(_sent().select_related("purpose").order_by("settled_at", "id"))
        if not rows:
            return []
        with record(
            Action.PATIENTS_LISTED,
            by=system_actor("demo"),
            now=clock.now(),
            clinic_id=self.cast.clinic_id,
            whole_clinic=True,
            reason="demo",
            count=len(rows),
        ) as entry:
            values = reveal_contact_values([row.contact_point_id for row in rows if row.contact_point_id], entry=entry)
        return [
            {
                "patient": self.cast.person(row.patient_id).source_id,
                "to": values[row.contact_point_id] if row.contact_point_id else "",
                "channel": row.channel,
                "language": row.language,
                "tone": row.tone,
                "purpose": row.purpose.slug,
            }
            for row in rows
        ]

    def _withheld(self) -> list[dict[str, Any]]:
        states = [MessageState.WITHHELD, MessageState.CANCELLED, MessageState.EXPIRED]
        rows = Message.objects.filter(state__in=states).order_by("due_at", "id")
        return [
            {
                "patient": self.cast.person(row.patient_id).source_id,
                "channel": row.channel,
                "reasons": row.verdict.get("reasons") or [row.state],
            }
            for row in rows
        ]

    def report(self, port: int) -> dict[str, Any]:
        """The story as JSON."""
        refused = [row for row in self.rows if row.outcome is RowOutcome.REFUSED]
        unusable = [
            row for row in self.rows if row.outcome is RowOutcome.UNUSABLE and row.reason.startswith(NOT_A_CONTACT)
        ]
        handed_over = self._handed_over()
        # Somebody with the app who has received something: there is most to see.
        patient = next(
            (one["patient"] for one in handed_over if one["channel"] == "push"), next(iter(self.cast.people))
        )
        self.cast.app_of(patient, self.stage.base_url)
        return {
            "imported": len(self.cast.people),
            "refused": [_where(row) for row in refused],
            "unusable": [_where(row) for row in unusable],
            "not_read": self.not_read,
            "deceased": sum(person.is_deceased for person in self.cast.people.values()),
            "consents": dict(self.chosen.given),
            "reach": {"would": self.would, "would_not": dict(self.reach)},
            "handed_over": handed_over,
            "withheld": self._withheld(),
            "after_withdrawal": self.after_withdrawal,
            "audit": self.proving.report(),
            "access": {
                "base_url": f"http://127.0.0.1:{port}",
                "patient_token": self.cast.tokens[patient],
                "staff_token": self.cast.staff_token,
                "dpo_token": self.cast.dpo_token,
            },
        }

    def end(self, *, once: bool, written: dict[str, Any]) -> None:
        """What remains to be said."""
        say = self.telling
        say.chapter("The end" if not say.failed else "What did not hold")
        for words in say.failed:
            say.say(f"✗ {words}")
        if not say.failed:
            say.say("All of it held.")
        self.proving.end()
        access = written["access"]
        say.say("bin/serve serves this clinic again, at any time." if once else "Now it is served.")
        say.say(
            f"API docs: {access['base_url']}/api/docs/  Sign in with `Authorization: Bearer` and one of these tokens:"
        )
        say.table([who, access[f"{who}_token"]] for who in ("patient", "staff", "dpo"))


def counted(count: int, what: str) -> str:
    """So many of these."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def _trouble(row: ImportRow) -> list[str]:
    sentence = REASONS[row.reason][Language.ENGLISH]
    return [f"{row.where.file}:{row.where.line}", row.field, sentence]


def _where(row: ImportRow) -> dict[str, Any]:
    return {"file": row.where.file, "line": row.where.line, "field": row.field, "reason": row.reason}


def _sent() -> QuerySet[Message]:
    return Message.objects.filter(state__in=HANDED_OVER, programme__isnull=False)
