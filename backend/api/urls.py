"""Every address under `/api/v1`. Names of routes are what a recorded refusal names."""

from django.urls import URLPattern, path

from backend.api import consents, me, preferences

urlpatterns: list[URLPattern] = [
    path("me", me.Me.as_view(), name="me"),
    path("me/preferences", preferences.MyPreferences.as_view(), name="me-preferences"),
    path("me/notices", consents.MyNotices.as_view(), name="me-notices"),
    path("me/consents", consents.MyConsents.as_view(), name="me-consents"),
    path("me/devices", me.MyDevices.as_view(), name="me-devices"),
    path("me/devices/<uuid:device_id>", me.MyDevice.as_view(), name="me-device"),
    path("me/contact-points", me.MyContactPoints.as_view(), name="me-contact-points"),
    path(
        "me/contact-points/<uuid:contact_point_id>/verify",
        me.MyContactPointCheck.as_view(),
        name="me-contact-point-verify",
    ),
    path(
        "clinics/<slug:slug>/patients/<uuid:patient_id>/consents",
        consents.PatientConsents.as_view(),
        name="patient-consents",
    ),
    path(
        "clinics/<slug:slug>/patients/<uuid:patient_id>/preferences",
        preferences.PatientPreferences.as_view(),
        name="patient-preferences",
    ),
]
