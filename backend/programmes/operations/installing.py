"""Puts the library into a clinic: purposes, notice, templates and programmes, the programmes as drafts."""

from datetime import datetime
from uuid import UUID

from backend.audit.actors import Actor
from backend.clinics.queries import get_clinic
from backend.consent.operations import define_purpose, publish_notice
from backend.messaging.operations import publish_template
from backend.messaging.operations.renewing import template_of
from backend.policy.vocabulary import Nature
from backend.programmes.library.catalogue import (
    load_notice,
    load_programmes,
    load_purposes,
    load_renewal_words,
    load_service_templates,
    load_templates,
)
from backend.programmes.operations.writing import write_programme


def install_library(*, clinic_id: UUID, actor: Actor, now: datetime) -> dict[str, UUID]:
    """Make a new clinic ready to write to its patients; the ids of its programmes, none of which sends yet."""
    clinic = get_clinic(clinic_id)
    for purpose in load_purposes():
        define_purpose(
            clinic_id=clinic_id,
            slug=purpose.slug,
            nature=purpose.nature,
            channels=purpose.channels,
            names=purpose.names,
            statements=purpose.statements,
            child_statements=purpose.child_statements,
            health_data_condition=purpose.health_data_condition,
            validity_months=purpose.validity_months,
            rank=purpose.rank,
            actor=actor,
            now=now,
        )
    notice = load_notice()
    publish_notice(
        clinic_id=clinic_id,
        texts=notice.filled(clinic=clinic.name, telephone=clinic.telephone, address=clinic.address),
        child_texts=notice.filled_for_children(clinic=clinic.name, telephone=clinic.telephone),
        actor=actor,
        now=now,
    )
    for template in [*load_templates().values(), *load_service_templates().values()]:
        publish_template(
            clinic_id=clinic_id,
            slug=template.slug,
            purpose=template.purpose,
            variants=template.variants,
            actor=actor,
            now=now,
        )
    for purpose in load_purposes():
        if purpose.nature is not Nature.CLOSED_LIST:
            publish_template(
                clinic_id=clinic_id,
                slug=template_of(purpose.slug),
                purpose=purpose.slug,
                variants=load_renewal_words(),
                actor=actor,
                now=now,
            )
    return {
        slug: write_programme(
            clinic_id=clinic_id,
            slug=programme.slug,
            names=programme.names,
            purpose=programme.purpose,
            definition=programme.definition,
            actor=actor,
            now=now,
        )
        for slug, programme in load_programmes().items()
    }
