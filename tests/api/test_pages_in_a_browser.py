"""The start page and the documentation as a browser shows them: nothing blocked, nothing fetched from elsewhere."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

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
    options = getattr(request, "param", {})
    context = chromium.new_context(**options)
    yield Watched(context.new_page())
    context.close()


SHOWN = [
    {"viewport": {"width": width, "height": 800}, "color_scheme": scheme, "locale": locale, "java_script_enabled": True}
    for width in (320, 1200)
    for scheme in ("light", "dark")
    for locale in ("fr-FR", "en-GB")
]


@pytest.mark.parametrize("opened", SHOWN, indirect=True)
def test_everyone_can_read_the_start_page(opened: Watched, live_server, settings) -> None:
    settings.ACCORD_SANDBOX_INBOX_URL = "http://127.0.0.1:8025/inbox"
    page = opened.page
    page.goto(live_server.url)

    findings = Axe().run(page)

    assert findings.violations_count == 0, findings.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert opened.complaints == []
    assert opened.hosts == {urlsplit(live_server.url).netloc}


@pytest.mark.parametrize("opened", [{"locale": "fr-FR", "java_script_enabled": False}], indirect=True)
def test_the_language_is_changed_by_a_link_without_a_script(opened: Watched, live_server) -> None:
    page = opened.page
    page.goto(live_server.url)
    assert page.locator("html").get_attribute("lang") == "fr"

    page.get_by_role("link", name="English").click()

    assert page.locator("html").get_attribute("lang") == "en"
    assert (
        page.get_by_role("heading", level=1).inner_text() == "A clinic writes to its patients only where they said yes."
    )
    assert page.get_by_role("link", name="Sandbox inbox").count() == 0


def test_the_keyboard_finds_the_content_first(opened: Watched, live_server) -> None:
    page = opened.page
    page.goto(f"{live_server.url}/?language=en")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")

    assert page.evaluate("document.activeElement.id") == "content"


def test_the_documentation_opens_under_the_strict_policy(opened: Watched, live_server) -> None:
    page = opened.page
    page.goto(f"{live_server.url}/api/docs/")
    page.get_by_text("/api/v1/me/consents", exact=True).first.wait_for()
    for operation in page.locator(".opblock-summary-control").all()[:6]:
        operation.click()
    page.locator(".opblock-body").first.wait_for()

    assert opened.complaints == []
    assert opened.hosts == {urlsplit(live_server.url).netloc}


def test_an_operation_is_tried_from_the_documentation(opened: Watched, live_server) -> None:
    page = opened.page
    page.goto(f"{live_server.url}/api/docs/")
    page.locator("#operations-me-getMe .opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()

    page.locator("#operations-me-getMe .live-responses-table .response-col_status", has_text="401").wait_for()
