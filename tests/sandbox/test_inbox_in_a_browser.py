"""The inbox as a browser shows it: readable by everyone, on a phone too, and nothing is blocked or fetched."""

from collections.abc import Iterator
from email.message import EmailMessage
from smtplib import SMTP
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Request, sync_playwright

from sandbox import Sandbox
from tests.sandbox.test_inbox import push, sms
from tests.services import chromium_launch_arguments

pytestmark = pytest.mark.needs_browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**chromium_launch_arguments())  # type: ignore[arg-type] # keywords as a mapping
        yield browser
        browser.close()


@pytest.fixture
def filled(sandbox: Sandbox, mailbox: SMTP, letter: EmailMessage) -> Sandbox:
    letter["List-Unsubscribe"] = "<http://127.0.0.1:8000/u/aB3>"
    letter["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    sandbox.store.add(sms())
    sandbox.store.add(push())
    mailbox.send_message(letter)
    return sandbox


@pytest.mark.parametrize("width", [320, 390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everyone_can_read_it(filled: Sandbox, chromium: Browser, width: int, scheme: str) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type] # one of the literals
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(filled.inbox_url)
    for summary in page.locator("summary").all():
        summary.click()

    findings = Axe().run(page)

    assert findings.violations_count == 0, findings.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert complaints == []
    context.close()


def test_nothing_is_fetched_from_elsewhere_and_no_script_runs(
    sandbox: Sandbox, chromium: Browser, mailbox: SMTP
) -> None:
    letter = EmailMessage()
    letter["Subject"] = "Hello"
    letter.set_content("Hello")
    spy = '<p id="p">Hello</p><img src="http://127.0.0.1:9/pixel"><script>document.title = "run"</script>'
    letter.add_alternative(f'{spy}<link rel="stylesheet" href="http://127.0.0.1:9/s.css">', subtype="html")
    mailbox.send_message(letter, "a@accord.example", ["b@patients.example"])
    page = chromium.new_page()
    failed: list[Request] = []
    asked: list[str] = []
    page.on("requestfailed", lambda request: failed.append(request))  # noqa: PLW0108 - Playwright marks the function
    page.on("requestfinished", lambda request: asked.append(urlsplit(request.url).netloc))

    page.goto(sandbox.inbox_url)
    frame = page.frame_locator("iframe")

    assert frame.locator("#p").inner_text() == "Hello"
    assert set(asked) == {urlsplit(sandbox.inbox_url).netloc}
    assert all(request.failure == "csp" for request in failed)
    page.close()
