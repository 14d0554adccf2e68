"""Patients say yes and no: in the app through the API, and on paper taken down by staff, through the API too."""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from backend import clock
from backend.messaging.delivery import deliver_due_messages
from backend.messaging.operations import plan_checks
from backend.patients.queries import representatives_of
from backend.policy.vocabulary import Channel
from demo.cast import Cast
from demo.client import Client, Refused
from demo.stage import Stage
from demo.telling import Telling

AGE_UNKNOWN = "age_unknown"
KIND_OF = {"sms": "phone", "email": "email"}


@dataclass(slots=True)
class Chosen:
    """What was taken down, in numbers."""

    given: Counter[str] = field(default_factory=Counter)
    pending: int = 0
    refused: int = 0
    withdrawn: int = 0
    devices: int = 0
    verified: int = 0
    attested: int = 0
    preferences: int = 0


def take_down(cast: Cast, choices: dict[str, dict[str, Any]], *, stage: Stage) -> Chosen:
    """Play what every patient chose."""
    desk = Client(stage.base_url, cast.staff_token)
    chosen = Chosen()
    unborn = 0
    for source_id, choice in choices.items():
        if source_id not in cast.people:
            continue
        try:
            _Visit(cast, source_id, desk, stage, chosen).play(choice)
        except Refused as refused:
            # The story can be told on a day when somebody who decides in it was not born yet.
            if refused.problem.get("code") != AGE_UNKNOWN:
                raise
            unborn += 1
    if unborn:
        Telling().say(f"{unborn} of them are not born on this day, and are skipped.")
    if chosen.pending:
        Telling().say(f"{chosen.pending} consents of children wait for a parent's yes, and permit nothing.")
    return chosen


@dataclass(slots=True)
class _Visit:
    """One patient's choices."""

    cast: Cast
    source_id: str
    desk: Client
    stage: Stage
    chosen: Chosen

    @property
    def path(self) -> str:
        return f"/clinics/{self.cast.slug}/patients/{self.cast.people[self.source_id].id}"

    @property
    def app(self) -> Client:
        return self.cast.app_of(self.source_id, self.stage.base_url)

    def play(self, choice: dict[str, Any]) -> None:
        if choice.get("app"):
            self.app.post("/me/devices", {"kind": "token", "token": f"sandbox-device-{self.source_id}"})
            self.chosen.devices += 1
        self._contact_points(choice.get("contact_points", {}), of_representative=False)
        for consent in choice.get("consents", ()):
            self._consent(consent, representative=False)
        if "representative" in choice:
            self._contact_points(choice["representative"].get("contact_points", {}), of_representative=True)
            for consent in choice["representative"].get("consents", ()):
                self._consent(consent, representative=True)
        if preferences := choice.get("preferences"):
            self.app.patch("/me/preferences", preferences, version=self.app.version_of("/me/preferences"))
            self.chosen.preferences += 1

    def _contact_points(self, wanted: dict[str, str], *, of_representative: bool) -> None:
        if not wanted:
            return
        points = self.desk.get(f"{self.path}/contact-points")["results"]
        for channel, how in wanted.items():
            fitting = [
                point
                for point in points
                if point["kind"] == KIND_OF[channel]
                and point["status"] == "unverified"
                and (channel != "sms" or point["takes_sms"])
                and (point["representative"] is not None) == of_representative
            ]
            for point in fitting[:1]:
                if how == "verified":
                    self._verify(point["id"])
                else:
                    self.desk.post(f"{self.path}/contact-points/{point['id']}/attest", {"how": "seen_in_person"})
                    self.chosen.attested += 1

    def _verify(self, contact_point_id: str) -> None:
        """Ask for a code, let it be sent, read it off the sandbox as the patient reads their phone, and type it in."""
        self.app.post(f"/me/contact-points/{contact_point_id}/code")
        before = len(self.stage.sandbox.received())
        plan_checks(now=clock.now())
        deliver_due_messages(now=clock.now(), carriers=self.stage.carriers)
        received = self.stage.sandbox.received()[before:]
        found = [code for one in received if (code := re.search(r"\b\d{6}\b", one.text))]
        self.app.post(f"/me/contact-points/{contact_point_id}/verify", {"code": found[0].group()})
        self.chosen.verified += 1

    def _consent(self, consent: dict[str, Any], *, representative: bool) -> None:
        decision = consent.get("decision", "given")
        body: dict[str, Any] = {
            "purpose": consent["purpose"],
            "channels": [Channel(channel).value for channel in consent["channels"]],
            "decision": decision,
        }
        if decision != "withdrawn":
            body |= {"notice_version": 1, "language": consent.get("language", "fr")}
        if consent["method"] == "app":
            answer = self.app.post("/me/consents", body)
        else:
            today = clock.now().astimezone(ZoneInfo("Europe/Paris")).date().isoformat()
            evidence = {"form_reference": f"FORM-{self.source_id}", "signed_on": today}
            body |= {"method": consent["method"], "evidence": evidence}
            if representative:
                person = self.cast.people[self.source_id]
                body["representatives"] = [str(one) for one in representatives_of([person.id])[person.id][:1]]
            answer = self.desk.post(f"{self.path}/consents", body)
        match decision:
            case "given" if answer["state"] == "pending":
                # The story can be told on a day when somebody who decides in it was a child: a parent has to say yes.
                self.chosen.pending += len(consent["channels"])
            case "given":
                self.chosen.given[consent["method"]] += len(consent["channels"])
            case "refused":
                self.chosen.refused += 1
            case _:
                self.chosen.withdrawn += 1
