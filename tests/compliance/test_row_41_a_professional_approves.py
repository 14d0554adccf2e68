"""Row 41, Public Health Code R.4127-13, -19-1, -19-2: a health professional approves what is sent.

Marketing texts are approved by one who did not write them; what belongs to care is approved with its programme.
"""

from tests.api.test_template_drafts import news  # noqa: F401 - a fixture


def test_marketing_is_published_only_as_a_professional_who_did_not_write_it_approved_it(desk, doctor, news):  # noqa: F811 - a fixture
    path, words = news
    desk.post(path, words)
    assert desk.post(f"{path}/publish", {"revision": 1}).json()["code"] == "template_not_approved"
    assert desk.post(f"{path}/approve", {"revision": 1}).status_code == 403

    assert doctor.post(f"{path}/approve", {"revision": 1}).status_code == 200
    desk.post(path, {**words, "variants": [{**words["variants"][0], "body": "{{ clinic.discreet_name }} : autre."}]})
    assert desk.post(f"{path}/publish", {"revision": 2}).json()["code"] == "template_not_approved"

    assert doctor.post(f"{path}/approve", {"revision": 2}).status_code == 200
    assert desk.post(f"{path}/publish", {"revision": 2}).status_code == 201


def test_marketing_has_no_way_round_its_approval(desk, doctor, news):  # noqa: F811 - a fixture
    _path, words = news

    for client in (desk, doctor):
        answer = client.post("/api/v1/clinics/northgate/templates", {"slug": "newsletter", **words})
        assert (answer.status_code, answer.json()["code"]) == (409, "template_not_approved")


def test_nobody_asks_patients_to_praise_the_clinic_in_public(desk):
    variant = {
        "channel": "sms",
        "language": "fr",
        "tone": "formal",
        "body": "{{ clinic.discreet_name }} : laissez un avis en ligne.",
    }

    answer = desk.post(
        "/api/v1/clinics/northgate/templates", {"slug": "x", "purpose": "appointment_reminder", "variants": [variant]}
    )

    assert answer.json()["findings"] == ["review_asked"]
