"""What receipts point to: a published notice under an address of its own, for anybody, and nothing else."""

import pytest

from backend.consent.models import Notice
from tests.factories.programmes import REMINDER


def test_a_published_notice_is_there_for_anybody_in_each_language(browser_without_cookies, northgate) -> None:
    for language, title, statement in (
        ("fr", "Vos choix", f"Nous écrivons pour : {REMINDER}."),
        ("en", "Your choices", f"We write for: {REMINDER}."),
    ):
        answer = browser_without_cookies.get(f"/notices/northgate/1/{language}")

        page = answer.content.decode()
        assert answer.status_code == 200
        assert answer.headers["content-language"] == language
        assert f'<html lang="{language}">' in page
        assert f"<h1>{title}</h1>" in page
        assert statement in page
        assert Notice.objects.get(version=1, language=language, clinic_id=northgate.id).sha256 in page


@pytest.mark.parametrize(
    "path", ["northgate/2/fr", "northgate/1/de", "nowhere/1/fr", "northgate/99999999999999999999/fr", "northgate/0/fr"]
)
def test_what_was_never_published_is_not_there(browser_without_cookies, northgate, path) -> None:
    assert browser_without_cookies.get(f"/notices/{path}").status_code == 404


def test_nothing_can_be_sent_to_it(browser_without_cookies, northgate) -> None:
    assert browser_without_cookies.post("/notices/northgate/1/fr").status_code in {403, 405}
