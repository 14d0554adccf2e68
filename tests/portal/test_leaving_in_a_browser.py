"""The pages behind links as a browser shows them: readable by everyone, without a script, nothing from elsewhere."""

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from backend.accounts.operations import issue_patient_token
from backend.audit.actors import system_actor
from backend.consent.models import ConsentEvent
from tests.services import chromium_launch_arguments

pytestmark = [pytest.mark.needs_browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**chromium_launch_arguments())  # type: ignore[arg-type] # keywords as a mapping
        yield browser
        browser.close()


class Watched:
    """A page, what it complained about, and the hosts it asked."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))


@pytest.fixture
def opened(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Watched]:
    context = chromium.new_context(**getattr(request, "param", {}))
    yield Watched(context.new_page())
    context.close()


SHOWN = [
    {"viewport": {"width": width, "height": 568}, "color_scheme": scheme, "locale": locale}
    for width, scheme, locale in (
        (320, "light", "fr-FR"),
        (360, "dark", "en-GB"),
        (1280, "light", "en-GB"),
        (1280, "dark", "fr-FR"),
    )
]


@pytest.mark.parametrize("opened", SHOWN, indirect=True)
def test_everyone_can_read_every_step_of_leaving(opened: Watched, live_server, link) -> None:
    page = opened.page
    for step in ("ask", "done", "already", "nowhere"):
        if step == "done":
            page.get_by_role("button").click()
        else:
            page.goto(f"{live_server.url}{link if step != 'nowhere' else '/u/nothing'}")

        findings = Axe().run(page)

        assert findings.violations_count == 0, (step, findings.generate_report())
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert page.get_by_role("button").count() == (1 if step == "ask" else 0)
        if step == "ask":
            box = page.get_by_role("button").bounding_box()
            assert box is not None
            assert box["height"] >= 44
            assert box["y"] + box["height"] <= 2 * 568
    assert opened.complaints == []
    assert opened.hosts == {urlsplit(live_server.url).netloc}


@pytest.mark.parametrize("opened", [{"locale": "fr-FR", "java_script_enabled": False}], indirect=True)
def test_leaving_takes_one_press_without_a_script_and_stays_in_its_language(opened: Watched, live_server, link) -> None:
    page = opened.page
    page.goto(f"{live_server.url}{link}")
    page.get_by_role("link", name="English").click()

    page.get_by_role("button", name="Stop these messages").click()

    assert page.get_by_role("heading", level=1).inner_text() == "Stopped"
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.context.cookies() == []


@pytest.mark.parametrize("opened", SHOWN, indirect=True)
def test_everyone_can_read_every_step_of_confirming(opened: Watched, live_server, question) -> None:
    page = opened.page
    for step in ("ask", "given", "already_given", "nowhere"):
        if step == "given":
            page.get_by_role("button").first.click()
        else:
            page.goto(f"{live_server.url}{question if step != 'nowhere' else '/c/nothing'}")

        findings = Axe().run(page)

        assert findings.violations_count == 0, (step, findings.generate_report())
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        boxes = [button.bounding_box() for button in page.get_by_role("button").all()]
        assert len(boxes) == (2 if step == "ask" else 0)
        if step == "ask":
            assert len({(box["width"], box["height"]) for box in boxes if box is not None}) == 1
            assert all(box is not None and box["height"] >= 44 for box in boxes)
    assert opened.complaints == []
    assert opened.hosts == {urlsplit(live_server.url).netloc}


@pytest.mark.parametrize("opened", [{"locale": "fr-FR", "java_script_enabled": False}], indirect=True)
def test_a_yes_takes_one_press_without_a_script_and_a_cookie(opened: Watched, live_server, question) -> None:
    page = opened.page
    page.goto(f"{live_server.url}{question}")

    page.get_by_role("button", name="Oui").click()

    assert page.get_by_role("heading", level=1).inner_text() == "C’est confirmé"
    assert page.context.cookies() == []


@pytest.mark.parametrize("opened", SHOWN, indirect=True)
def test_everyone_can_read_a_receipt_and_the_notice_it_names(opened: Watched, live_server, consenting, now) -> None:
    token = issue_patient_token(
        clinic_id=consenting.clinic_id, patient_id=consenting.id, actor=system_actor(), now=now, life=timedelta(days=1)
    )
    event = ConsentEvent.objects.filter(patient_id=consenting.id).latest("id")
    page = opened.page
    for path, headers in (
        (f"/api/v1/me/consents/{event.id}/receipt?format=html", {"Authorization": f"Bearer {token}"}),
        ("/notices/northgate/1/fr", {}),
    ):
        page.set_extra_http_headers(headers)
        page.goto(f"{live_server.url}{path}")

        findings = Axe().run(page)

        assert findings.violations_count == 0, (path, findings.generate_report())
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert page.get_by_role("heading", level=1).count() == 1
    assert opened.complaints == []
    assert opened.hosts == {urlsplit(live_server.url).netloc}
