"""Templates and their variants, and messages."""

from django.db import models

from backend.audit.guard import AppendOnly, Guarded
from backend.patients.models import OfClinic, OfPatient
from backend.policy.vocabulary import Channel, Language, MessageState, Tone
from backend.vault.fields import SealedField
from backend.vault.identifiers import new_id


class TemplateVersion(Guarded):
    """One published version of a template: never changed, so that every message can show what it was made of."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    clinic = models.ForeignKey("clinics.Clinic", on_delete=models.PROTECT, related_name="+")
    slug = models.SlugField(max_length=60)
    number = models.PositiveIntegerField()
    purpose = models.ForeignKey("consent.Purpose", on_delete=models.PROTECT, related_name="+")
    published_at = models.DateTimeField()
    # Who wrote and who approved its words; nobody did for what Accord ships.
    written_by = models.UUIDField(null=True)
    approved_by = models.UUIDField(null=True)
    approved_at = models.DateTimeField(null=True)

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "messaging_template_version"
        constraints = [
            *Guarded.Meta.constraints,
            AppendOnly(name="messaging_template_version_append_only"),
            models.UniqueConstraint(fields=["clinic", "slug", "number"], name="a_template_version_once"),
        ]


class TemplateVariant(Guarded):
    """The words of a template for one channel, language and tone, and their discreet form for a lock screen."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    version = models.ForeignKey(TemplateVersion, on_delete=models.PROTECT, related_name="variants")
    channel = models.CharField(max_length=10, choices=[(one.value, one.value) for one in Channel])
    language = models.CharField(max_length=2, choices=[(one.value, one.value) for one in Language])
    tone = models.CharField(max_length=10, choices=[(one.value, one.value) for one in Tone])
    subject = models.CharField(max_length=200, blank=True)
    body = models.TextField()
    discreet_subject = models.CharField(max_length=200, blank=True)
    discreet_body = models.TextField(blank=True)

    class Meta:
        db_table = "messaging_template_variant"
        constraints = [
            *Guarded.Meta.constraints,
            AppendOnly(name="messaging_template_variant_append_only"),
            models.UniqueConstraint(fields=["version", "channel", "language", "tone"], name="a_variant_once"),
        ]


class TemplateDraft(Guarded):
    """The words that staff are working on: the next version of a template, which nobody is sent.

    Every change counts `revision` up and takes an approval away: what is approved is exactly what is published.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    clinic = models.ForeignKey("clinics.Clinic", on_delete=models.PROTECT, related_name="+")
    slug = models.SlugField(max_length=60)
    purpose = models.ForeignKey("consent.Purpose", on_delete=models.PROTECT, related_name="+")
    revision = models.PositiveIntegerField(default=1)
    variants = models.JSONField(default=list)
    edited_at = models.DateTimeField()
    edited_by = models.UUIDField()
    approved_by = models.UUIDField(null=True)
    approved_at = models.DateTimeField(null=True)

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "messaging_template_draft"
        constraints = [
            *Guarded.Meta.constraints,
            models.UniqueConstraint(fields=["clinic", "slug"], name="one_draft_of_a_template"),
            # Four eyes (obligation row 41): nobody approves their own words.
            models.CheckConstraint(
                condition=models.Q(approved_by__isnull=True) | ~models.Q(approved_by=models.F("edited_by")),
                name="nobody_approves_their_own_words",
            ),
        ]


class PrintBatch(Guarded):
    """Letters that staff printed together. What became of each is said of the message."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    clinic = models.ForeignKey("clinics.Clinic", on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=40)
    letters = models.PositiveSmallIntegerField()

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "messaging_print_batch"
        constraints = [*Guarded.Meta.constraints, AppendOnly(name="messaging_print_batch_append_only")]
        indexes = [models.Index(fields=["clinic", "-made_at", "-id"], name="print_batch_of_clinic")]


class Message(OfPatient):
    """One message to one patient: planned, decided upon, handed over or withheld, and why."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    enrolment = models.ForeignKey("programmes.Enrolment", null=True, on_delete=models.PROTECT, related_name="+")
    programme = models.ForeignKey("programmes.Programme", null=True, on_delete=models.PROTECT, related_name="+")
    occasion = models.ForeignKey("patients.Occasion", null=True, on_delete=models.PROTECT, related_name="+")
    occasion_starts_at = models.DateTimeField(null=True)
    step = models.CharField(max_length=40)
    occurrence = models.CharField(max_length=40)
    purpose = models.ForeignKey("consent.Purpose", on_delete=models.PROTECT, related_name="+")
    channel = models.CharField(max_length=10, choices=[(one.value, one.value) for one in Channel])
    contact_point = models.ForeignKey("patients.ContactPoint", null=True, on_delete=models.PROTECT, related_name="+")
    template_version = models.ForeignKey(TemplateVersion, null=True, on_delete=models.PROTECT, related_name="+")
    language = models.CharField(max_length=2)
    tone = models.CharField(max_length=10)
    due_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=12, choices=[(state.value, state.value) for state in MessageState])
    verdict = models.JSONField(default=dict)
    planned_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    # When the carrier is asked next whether it has it, while it is in doubt.
    ask_at = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    # The message whose sending carried this one, where the patient wants them together.
    sent_with = models.UUIDField(null=True)
    print_batch = models.ForeignKey(PrintBatch, null=True, on_delete=models.PROTECT, related_name="+")
    carrier = models.CharField(max_length=20, blank=True)
    carrier_reference = models.CharField(max_length=200, blank=True)
    failure = models.CharField(max_length=40, blank=True)
    sent_text = SealedField(null=True)

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "messaging_message"
        constraints = [
            *Guarded.Meta.constraints,
            models.UniqueConstraint(fields=["enrolment", "step", "occurrence"], name="a_step_makes_one_message"),
            models.UniqueConstraint(
                fields=["contact_point", "step", "occurrence"],
                condition=models.Q(enrolment__isnull=True),
                name="a_check_makes_one_message",
            ),
            # A yes is asked for again once, by whichever address.
            models.UniqueConstraint(
                fields=["step", "occurrence"], condition=models.Q(step="renew"), name="a_yes_is_renewed_once"
            ),
            # The closed list and the renewal of a consent are outside of a programme, and follow no occasion.
            models.CheckConstraint(
                condition=models.Q(enrolment__isnull=False, programme__isnull=False, occasion__isnull=False)
                | models.Q(enrolment__isnull=True, programme__isnull=True, occasion__isnull=True),
                name="a_message_is_of_a_programme_or_of_none",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at", "id"],
                condition=models.Q(state__in=["planned", "deferred"]),
                name="message_due",
            ),
            models.Index(
                fields=["ask_at", "id"],
                condition=models.Q(state="in_doubt", ask_at__isnull=False),
                name="message_to_ask_about",
            ),
            models.Index(fields=["patient", "-due_at"], name="message_of_patient"),
            models.Index(fields=["clinic", "state", "due_at"], name="message_of_clinic"),
            models.Index(fields=["occasion"], name="message_of_occasion"),
            models.Index(
                fields=["patient", "claimed_at"],
                condition=models.Q(state__in=["handing_over", "sent", "delivered", "in_doubt"]),
                name="message_counted",
            ),
        ]


class CarrierReport(OfPatient):
    """A carrier's report that can not be acted upon at once: it waits here, and is worked off when it can be.

    One that came before our own note of the sending was committed, or one with consequences beyond its message. Of each
    message each state is kept once, however often it is reported.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    message = models.ForeignKey(Message, on_delete=models.PROTECT, related_name="+")
    carrier = models.CharField(max_length=20)
    carrier_reference = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=10)
    code = models.CharField(max_length=40, blank=True)
    received_at = models.DateTimeField()
    applied_at = models.DateTimeField(null=True)

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "messaging_carrier_report"
        constraints = [
            *Guarded.Meta.constraints,
            models.UniqueConstraint(fields=["message", "state"], name="a_state_is_reported_once"),
        ]
        indexes = [
            models.Index(
                fields=["received_at", "id"], condition=models.Q(applied_at__isnull=True), name="carrier_report_waiting"
            )
        ]


class UnsubscribeLink(OfPatient):
    """The link by which one purpose on one channel is left, without signing in. One for ever, and it does not toggle.

    Its token is known by a keyed hash: whoever reads this table can withdraw nothing.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    purpose = models.ForeignKey("consent.Purpose", on_delete=models.PROTECT, related_name="+")
    channel = models.CharField(max_length=10, choices=[(one.value, one.value) for one in Channel])
    token_digest = models.BinaryField()
    created_at = models.DateTimeField()

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "messaging_unsubscribe_link"
        constraints = [
            *Guarded.Meta.constraints,
            models.UniqueConstraint(fields=["patient", "purpose", "channel"], name="one_link_for_each_way_out"),
            models.UniqueConstraint(fields=["token_digest"], name="a_token_leads_to_one_link"),
        ]


class ReceivedStop(OfPatient):
    """That STOP came by SMS from a number of this patient. Rows with the same `received` came as one message.

    Staff look at them: `sharing` other patients have the number too, and it may be only one of them who meant it.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    received = models.UUIDField()
    received_at = models.DateTimeField()
    sharing = models.PositiveSmallIntegerField()
    withdrawn = models.PositiveSmallIntegerField()

    objects = OfClinic.as_manager()

    class Meta:
        db_table = "messaging_received_stop"
        constraints = [*Guarded.Meta.constraints]
        indexes = [models.Index(fields=["clinic", "-received_at", "-id"], name="received_stop_of_clinic")]
