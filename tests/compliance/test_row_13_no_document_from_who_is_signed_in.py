"""Row 13, GDPR Art. 12(6): who is signed in proves nothing twice; no right in the app asks for a document or a reason.

Not yet: requests from people who are not signed in, and how their identity is checked.
"""

import pytest

from tests.factories.programmes import REMINDER


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("get", "me", None),
        ("get", "me/consents", None),
        ("get", "me/messages", None),
        ("post", "me/consents", {"purpose": REMINDER, "channels": ["sms"], "decision": "withdrawn"}),
        ("post", "me/objections", {"scope": "purpose", "purpose": REMINDER}),
        ("post", "me/objections", {"scope": "direct_marketing"}),
        ("post", "me/restriction", {"ground": "accuracy_contested"}),
    ],
)
def test_a_right_is_exercised_with_the_token_alone(consenting, as_patient, method, path, body):
    answer = getattr(as_patient(consenting), method)(f"/api/v1/{path}", body)

    assert answer.status_code in {200, 201}, answer.content


def test_no_request_of_a_patient_has_a_field_for_a_document(db, client):
    schema = client.get("/api/schema/?format=json").json()
    asked = {
        name
        for path, operations in schema["paths"].items()
        if "/me/" in path
        for operation in operations.values()
        if isinstance(operation, dict)
        for content in operation.get("requestBody", {}).get("content", {}).values()
        for name in schema["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]["properties"]
    }

    assert {"purpose", "ground", "scope"} <= asked
    assert [name for name in asked if any(word in name for word in ("document", "identity", "card", "proof"))] == []
