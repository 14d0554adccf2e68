"""The description of the API, as it is served."""

from tests.api.conftest import Client


def test_the_description_is_public_plain_json(nobody: Client) -> None:
    answer = nobody.get("/api/schema/")

    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer.json()["openapi"] == "3.1.1"
    assert answer.json()["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_the_content_security_policy_opens_for_the_documentation_by_one_word(nobody: Client) -> None:
    def policy(path: str) -> dict[str, str]:
        header = nobody.get(path)["Content-Security-Policy"]
        return dict(one.strip().split(" ", 1) for one in header.split(";"))

    strict, docs = policy("/"), policy("/api/docs/")

    assert {name for name in docs if docs[name] != strict[name]} == {"img-src"}
    assert docs["img-src"] == "'self' data:"


def test_a_page_answers_problems_as_json_too(nobody: Client) -> None:
    answer = nobody.post("/api/docs/")

    assert (answer.status_code, answer["Content-Type"]) == (405, "application/problem+json")
    assert answer.json()["code"] == "method_not_allowed"


def test_the_start_page_speaks_the_language_of_the_browser(nobody: Client) -> None:
    french = nobody.get("/", headers={"accept-language": "fr-BE"})
    english = nobody.get("/", headers={"accept-language": "en-US"})

    assert french["Content-Language"] == "fr"
    assert "dit oui" in french.content.decode()
    assert english["Content-Language"] == "en"
    assert nobody.post("/").status_code == 405
