"""Every address under `/api/v1`. Names of routes are what a recorded refusal names."""

from django.urls import URLPattern, path

from backend.api import clinics, consents, fhir, log, me, messages, patients, preferences, programmes, templates

CLINIC = "clinics/<slug:slug>"
PATIENT = f"{CLINIC}/patients/<uuid:patient_id>"
PROGRAMME = f"{CLINIC}/programmes/<uuid:programme_id>"

urlpatterns: list[URLPattern] = [
    path("me", me.Me.as_view(), name="me"),
    path("me/preferences", preferences.MyPreferences.as_view(), name="me-preferences"),
    path("me/notices", consents.MyNotices.as_view(), name="me-notices"),
    path("me/consents", consents.MyConsents.as_view(), name="me-consents"),
    path("me/messages", messages.MyMessages.as_view(), name="me-messages"),
    path("me/messages/<uuid:message_id>", messages.MyMessage.as_view(), name="me-message"),
    path("me/messages/<uuid:message_id>/why", messages.MyMessageWhy.as_view(), name="me-message-why"),
    path("me/devices", me.MyDevices.as_view(), name="me-devices"),
    path("me/devices/<uuid:device_id>", me.MyDevice.as_view(), name="me-device"),
    path("me/contact-points", me.MyContactPoints.as_view(), name="me-contact-points"),
    path(
        "me/contact-points/<uuid:contact_point_id>/code",
        me.MyContactPointCode.as_view(),
        name="me-contact-point-code",
    ),
    path(
        "me/contact-points/<uuid:contact_point_id>/verify",
        me.MyContactPointCheck.as_view(),
        name="me-contact-point-verify",
    ),
    path(CLINIC, clinics.Clinic.as_view(), name="clinic"),
    path(f"{CLINIC}/patients", patients.Patients.as_view(), name="patients"),
    path(f"{CLINIC}/patients/search", patients.PatientSearch.as_view(), name="patients-search"),
    path(PATIENT, patients.Patient.as_view(), name="patient"),
    path(f"{PATIENT}/consents", consents.PatientConsents.as_view(), name="patient-consents"),
    path(f"{PATIENT}/preferences", preferences.PatientPreferences.as_view(), name="patient-preferences"),
    path(f"{PATIENT}/contact-points", patients.PatientContactPoints.as_view(), name="patient-contact-points"),
    path(
        f"{PATIENT}/contact-points/<uuid:contact_point_id>/attest",
        patients.ContactPointAttest.as_view(),
        name="patient-contact-point-attest",
    ),
    path(f"{CLINIC}/occasions", patients.Occasions.as_view(), name="occasions"),
    path(f"{CLINIC}/fhir", fhir.FhirImport.as_view(), name="fhir"),
    path(f"{CLINIC}/programmes", programmes.Programmes.as_view(), name="programmes"),
    path(PROGRAMME, programmes.Programme.as_view(), name="programme"),
    path(f"{PROGRAMME}/reach", programmes.ProgrammeReach.as_view(), name="programme-reach"),
    path(f"{PROGRAMME}/approve", programmes.ProgrammeApprove.as_view(), name="programme-approve"),
    path(f"{PROGRAMME}/start", programmes.ProgrammeStart.as_view(), name="programme-start"),
    path(f"{PROGRAMME}/pause", programmes.ProgrammePause.as_view(), name="programme-pause"),
    path(f"{CLINIC}/enrolments", programmes.Enrolments.as_view(), name="enrolments"),
    path(f"{CLINIC}/templates", templates.Templates.as_view(), name="templates"),
    path(f"{CLINIC}/messages", messages.ClinicMessages.as_view(), name="messages"),
    path(f"{CLINIC}/messages/<uuid:message_id>/why", messages.ClinicMessageWhy.as_view(), name="message-why"),
    path(f"{CLINIC}/statistics", messages.Statistics.as_view(), name="statistics"),
    path(f"{CLINIC}/audit/entries", log.AuditEntries.as_view(), name="audit-entries"),
]
