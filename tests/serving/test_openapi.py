"""The document at `/openapi.json`: complete, valid, and true of what a real server answers to thousands of calls.

`PERSONALIZATION_FUZZ=500` makes 500 calls of each kind to each operation instead of a few, and of those that are
read by the same rule to each.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from jsonschema import Draft202012Validator
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from personalization_pipelines.events.judging.rules import BATCH, EVENT_WORDS, RULES
from personalization_pipelines.foundation.home import Home
from serving.app import described
from serving.openapi.document import document
from serving.recommending.request import NOT_BUILT, parse_callback, parse_wanted
from tests.faults.server import Server
from tests.serving.shopfront import Installation, website, write_yaml
from tests.serving.test_content import KEY

EXAMPLES = int(os.environ.get("PERSONALIZATION_FUZZ", "8"))
EVERYTHING = "PERSONALIZATION_FUZZ" in os.environ
DOCUMENT = document(described())
TRUE_OF_ALL = [
    content_type_conformance,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
CONFIG = {
    "checks": {
        "negative_data_rejection": {"expected-statuses": ["400", "404", "413", "414", "501"]},
        "positive_data_acceptance": {"expected-statuses": ["200", "204", "409", "501"]},
    }
}
NOT_GIVEN = re.compile(r"=(?:&|$)|[?&]=|(?:=|%2C|,)(?:%2C|,)|(?:%2C|,)(?:&|$)")
CONTROL = re.compile(r"%(?:[01][0-9A-F]|5C|7F|EF%BF%BD)")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    home = Home(tmp_path_factory.mktemp("home"))
    home.create()
    made = Installation(home, website())
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server process of a published website; it may log nothing but its start."""
    home = Home(tmp_path_factory.mktemp("served"))
    home.create()
    Installation(home, website()).close()
    write_yaml(home)
    made = Server(home)
    made.start()
    yield made
    assert requests.get(f"http://127.0.0.1:{made.port}/readyz", timeout=5).status_code == 200
    made.kill()
    lines = made.log.read_text().splitlines()
    assert [line for line in lines if "serving on" not in line] == []


def of_this_shop() -> dict[str, Any]:
    """The document with what only this website's owner knows: names, ids, languages."""
    made = copy.deepcopy(DOCUMENT)
    schemas = made["components"]["schemas"]
    schemas["CustomerId"] = {"type": "string", "enum": ["00001"]}
    schemas["ItemId"]["pattern"] = "^[0-9]{1,18}$"
    schemas["ItemIds"]["pattern"] = "^(?:[0-9]{1,18}(?:,[0-9]{1,18})*)?$"
    schemas["User"]["maxLength"] = schemas["LoginUser"]["maxLength"] = 128  # characters: a quarter of the bytes
    for path in made["paths"].values():
        for one in path.get("get", {}).get("parameters", ()):
            if one["in"] == "path" and one["name"] == "scenario":
                one["schema"] = {"type": "string", "enum": ["popular", "product_page"]}
            if one["name"] == "outputtypeid":
                one["schema"] = {"type": "integer", "enum": [1]}
    return made


def test_the_document_is_served_and_names_no_customer(shop: Installation) -> None:
    answer = shop.client.get("/openapi.json")
    assert (answer.status_code, answer.json) == (200, DOCUMENT)
    assert answer.content_type == "application/json"
    assert "00001" not in answer.text
    assert "only_neighbours" not in answer.text


def test_the_document_is_valid() -> None:
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    names = [operation["operationId"] for path in DOCUMENT["paths"].values() for operation in path.values()]
    assert len(set(names)) == len(names)


def test_every_event_with_its_parameters_is_in_it() -> None:
    found: dict[str, dict[str, set[str]]] = {"/api": {}, "/ebl": {}}
    for path, operations in DOCUMENT["paths"].items():
        if is_of(path, "tracking"):
            prefix, word = path.split("/{customer}/")
            queries = {one["name"] for one in operations.get("get", {}).get("parameters", ()) if one["in"] == "query"}
            found[prefix][word.split("/")[0]] = queries
    expected = {word: set(RULES[word].parameters) if word in RULES else set() for word in EVENT_WORDS}
    assert found == {"/api": expected, "/ebl": expected}
    assert set(DOCUMENT["paths"][f"/api/{{customer}}/{BATCH}"]) == {"post"}


def is_of(path: str, tag: str) -> bool:
    """Whether the operations of a path have a tag."""
    return all(tag in operation["tags"] for operation in DOCUMENT["paths"][path].values())


class Asked(dict[str, list[str]]):
    """Parameters that remember which names were asked for."""

    def __init__(self, **given: list[str]) -> None:
        super().__init__(given)
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self.names.add(str(name))
        return super().__contains__(name)


def test_every_parameter_that_recommendations_read_is_in_it_and_no_other(shop: Installation) -> None:
    publication = shop.app.extensions["personalization"].websites.by_customer("00001").publication
    asked = Asked(unknown=["1"])
    parse_wanted(asked, shop.websites["shop"], publication.plan.scenarios["popular"])
    parse_callback(asked)
    (operation,) = DOCUMENT["paths"]["/api/v2/{customer}/{user}/{scenario}.jsonp"].values()
    documented = {one["name"].lower() for one in operation["parameters"] if one["in"] == "query"}
    assert documented == asked.names | set(NOT_BUILT)


def test_every_route_of_the_application_is_in_it(shop: Installation) -> None:
    routes = {re.sub("<(?:path:)?(.+?)>", r"{\1}", rule.rule) for rule in shop.app.url_map.iter_rules()}
    own = {path for path in DOCUMENT["paths"] if is_of(path, "content") or is_of(path, "users")}
    assert routes == own | {path for path in DOCUMENT["paths"] if "{" not in path}


def labels() -> list[str]:
    """Method and path of the operations to call; in a short run one of each rule, and not the older prefix."""
    found, seen = [], []
    for path, operations in DOCUMENT["paths"].items():
        rule = RULES.get(path.split("/")[3]) if path.count("/") > 3 else None
        alike = (rule.path, set(rule.parameters), rule.required) if rule else path
        if EVERYTHING or (alike not in seen and not path.startswith("/ebl/")):
            seen.append(alike)
            found += [f"{method.upper()} {path}" for method in operations if path.split("/")[-1] != "item"]
    return found


def whole(value: Any) -> Any:
    """JSON without 1.0: a whole number to JSON schema, but refused by the service."""
    if isinstance(value, list):
        return [whole(one) for one in value]
    if isinstance(value, dict):
        return {name: whole(one) for name, one in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def is_right_all_the_same(case: schemathesis.Case, sent: requests.PreparedRequest) -> bool:
    """Whether what was bent may be right as it was sent, or is lost: an empty name, value or member is not given.

    In an event of a batch a text may be a number, a number a text, and one value an array: of batches only those
    that are no arrays of objects are surely wrong.
    """
    if isinstance(case.body, list):
        return all(isinstance(one, dict) for one in case.body)
    form = sent.body if isinstance(sent.body, str) else (sent.body or b"").decode(errors="replace")
    fields = case.body.values() if isinstance(case.body, dict) else ()
    lost = any(value in ([], {}) for value in fields)
    return lost or bool(NOT_GIVEN.search(sent.url or "") or NOT_GIVEN.search(form))


def joins_nobody(case: schemathesis.Case) -> bool:
    """Whether source and target of a login are the same, which no schema can rule out."""
    places = [case.path_parameters, *(case.body if isinstance(case.body, list) else ())]
    return any(isinstance(one, dict) and "source" in one and one["source"] == one.get("target") for one in places)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
@pytest.mark.parametrize("label", labels())
def test_a_real_server_answers_as_the_document_says(server: Server, label: str, mode: GenerationMode) -> None:
    config = schemathesis.Config.from_dict(CONFIG)
    method, path = label.split(" ")
    operation = schemathesis.openapi.from_dict(of_this_shop(), config=config)[path][method]
    if mode is GenerationMode.NEGATIVE and not operation.path_parameters:
        pytest.skip("nothing can be wrong in a call without parameters")

    key = KEY if is_of(path, "content") or is_of(path, "users") else None

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=not EVERYTHING,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(mode))
    def calls(case: schemathesis.Case) -> None:
        if isinstance(case.body, list):
            case.body[:] = whole(case.body)
        response = case.call(base_url=f"http://127.0.0.1:{server.port}", session=session, headers=key)
        assert response.status_code not in (500, 502, 503), response.content
        checks = TRUE_OF_ALL
        assume(mode is GenerationMode.NEGATIVE or not CONTROL.search(response.request.url))  # a slip of the generator
        if mode is GenerationMode.NEGATIVE and not is_right_all_the_same(case, response.request):
            checks = [*TRUE_OF_ALL, negative_data_rejection]
        if key:  # items that are not there are 404, and a customer who is not there has no key
            checks = [one for one in checks if one not in (positive_data_acceptance, negative_data_rejection)]
            assert response.status_code != 202 or mode is GenerationMode.POSITIVE or is_of(path, "users")
        case.validate_response(response, checks=[status_code_conformance] if joins_nobody(case) else checks)

    with requests.Session() as session:
        calls()
