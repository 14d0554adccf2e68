"""Purposes, a notice, templates and running programmes, with words of their own."""

from datetime import datetime
from typing import Any
from uuid import UUID

from backend.audit.actions import Action
from backend.audit.actors import Actor
from backend.audit.recording import record
from backend.clinics.queries import get_clinic
from backend.consent.models import Purpose
from backend.consent.operations import define_purpose, publish_notice
from backend.messaging.operations import VariantText, publish_template
from backend.policy.vocabulary import Channel, Language, LegalBasis, Nature, Tone
from backend.programmes.library.catalogue import load_notice, load_service_templates
from backend.programmes.operations import approve_programme, start_programme, write_programme

REMINDER = "appointment_reminder"
RECALL = "vaccination_recall"
CHANNELS = (Channel.PUSH, Channel.SMS, Channel.EMAIL)
WORDS = {
    Language.FRENCH: "{{ clinic.discreet_name }} : rendez-vous {{ appointment.short_date }} {{ appointment.time }}.",
    Language.ENGLISH: "{{ clinic.discreet_name }}: appointment {{ appointment.short_date }} {{ appointment.time }}.",
}


def make_mistaken_purpose(clinic_id: UUID, *, actor: Actor, now: datetime) -> UUID:
    """A purpose of the closed list that says a law obliges the clinic to it, as it may stand in older databases."""
    purpose_id = define_purpose(
        clinic_id=clinic_id,
        slug="contact_point_check",
        nature=Nature.CLOSED_LIST,
        channels=(Channel.SMS,),
        names={},
        statements={},
        actor=actor,
        now=now,
    )
    with record(
        Action.PURPOSE_DEFINED,
        by=actor,
        now=now,
        clinic_id=clinic_id,
        purpose="contact_point_check",
        nature="closed_list",
    ):
        Purpose.objects.filter(id=purpose_id).update(legal_basis=LegalBasis.LEGAL_OBLIGATION)
    return purpose_id


def whole_notice(clinic_id: UUID, more: str = "") -> dict[str, Any]:
    """The words of a notice that names what the law asks for, and perhaps something more."""
    clinic, notice = get_clinic(clinic_id), load_notice()
    texts = notice.filled(clinic=clinic.name, telephone=clinic.telephone, address=clinic.address)
    return {
        "texts": {language: (title, f"{body}\n\n{more}".strip()) for language, (title, body) in texts.items()},
        "child_texts": notice.filled_for_children(clinic=clinic.name, telephone=clinic.telephone),
    }


def define_words(clinic_id: UUID, *, actor: Actor, now: datetime) -> None:
    """Two purposes, a notice in two languages, and one template each."""
    for rank, (slug, nature) in enumerate(((REMINDER, Nature.CARE), (RECALL, Nature.PREVENTION))):
        define_purpose(
            clinic_id=clinic_id,
            slug=slug,
            nature=nature,
            channels=CHANNELS,
            names={Language.FRENCH: slug, Language.ENGLISH: slug},
            statements={Language.FRENCH: f"Nous écrivons pour : {slug}.", Language.ENGLISH: f"We write for: {slug}."},
            rank=rank,
            actor=actor,
            now=now,
        )
    publish_notice(
        clinic_id=clinic_id,
        texts={Language.FRENCH: ("Vos choix", "Texte."), Language.ENGLISH: ("Your choices", "Text.")},
        actor=actor,
        now=now,
    )
    for slug in (REMINDER, RECALL):
        publish_template(
            clinic_id=clinic_id,
            slug=slug,
            purpose=slug,
            variants=[
                VariantText(
                    channel=channel,
                    language=language,
                    tone=tone,
                    subject="" if channel is Channel.SMS else "Un message de votre clinique",
                    body=f"[{tone}] {WORDS[language]}",
                    discreet_body="" if channel is Channel.EMAIL else f"[{tone} discreet] {WORDS[language]}",
                )
                for channel in CHANNELS
                for language in Language
                for tone in (Tone.FORMAL, Tone.INFORMAL)
            ],
            actor=actor,
            now=now,
        )


def run_programme(clinic_id: UUID, slug: str, *, manager: Actor, doctor: Actor, now: datetime) -> UUID:
    """Written, approved and started."""
    definitions = {
        REMINDER: {
            "occasion": {"kind": "appointment", "topic": ""},
            "steps": [
                {"key": "d3", "offset": {"days": -3}, "at": "09:00", "worth_for_hours": 30, "template": REMINDER},
                {"key": "d1", "offset": {"days": -1}, "at": "09:00", "worth_for_hours": 22, "template": REMINDER},
            ],
        },
        RECALL: {
            "occasion": {"kind": "immunisation", "topic": "influenza"},
            "steps": [
                {"key": "recall", "offset": {"months": 11}, "at": "09:00", "worth_for_hours": 1440, "template": RECALL}
            ],
        },
    }
    programme_id = write_programme(
        clinic_id=clinic_id,
        slug=slug,
        names={Language.FRENCH: slug, Language.ENGLISH: slug},
        purpose=slug,
        definition=definitions[slug],
        actor=manager,
        now=now,
    )
    approve_programme(clinic_id=clinic_id, programme_id=programme_id, actor=doctor, now=now)
    start_programme(clinic_id=clinic_id, programme_id=programme_id, actor=manager, now=now)
    return programme_id


def offer_checks(clinic_id: UUID, *, actor: Actor, now: datetime) -> None:
    """The one-time code that checks a contact point: on the closed list, and sent without consent."""
    _offer(clinic_id, "contact_point_check", "contact_point_check", actor=actor, now=now)


def offer_confirmations(clinic_id: UUID, *, actor: Actor, now: datetime) -> None:
    """The link by which a yes is confirmed: on the closed list, and sent without consent."""
    _offer(clinic_id, "consent_confirmation", "consent_request", actor=actor, now=now)


def _offer(clinic_id: UUID, purpose: str, slug: str, *, actor: Actor, now: datetime) -> None:
    define_purpose(
        clinic_id=clinic_id,
        slug=purpose,
        nature=Nature.CLOSED_LIST,
        channels=(Channel.SMS, Channel.EMAIL),
        names=dict.fromkeys(Language, purpose),
        statements=dict.fromkeys(Language, purpose),
        actor=actor,
        now=now,
    )
    template = load_service_templates()[slug]
    publish_template(
        clinic_id=clinic_id,
        slug=template.slug,
        purpose=template.purpose,
        variants=[
            VariantText(channel=one.channel, language=one.language, tone=one.tone, subject=one.subject, body=one.body)
            for one in template.variants
        ],
        actor=actor,
        now=now,
    )
