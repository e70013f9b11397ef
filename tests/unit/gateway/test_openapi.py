"""The OpenAPI document tells of every route, and of nothing else."""

from jsonschema.validators import validator_for  # type: ignore[import-untyped]
from starlette.routing import Route

from streams.gateway.openapi import DOCUMENT_PATH
from streams.gateway.readers import CONSOLE_ROLES
from streams.memory_log import MemoryLog
from tests.support.gateways import app, calling
from tests.unit.dialects.deliveries import fixture


async def test_the_document_has_every_route_and_method_for_programs_and_no_other() -> None:
    application = app(MemoryLog())
    served = {
        (route.path.replace(":path}", "}"), method.lower())
        for route in application.routes
        if isinstance(route, Route) and route.path not in CONSOLE_ROLES
        for method in (route.methods or set()) - {"HEAD"}
    }
    async with calling(application) as client:
        document = (await client.get(DOCUMENT_PATH)).json()
    assert document["openapi"].startswith("3.1")
    told = {(path, method) for path, item in document["paths"].items() for method in item if method != "parameters"}
    assert told == served


async def test_answers_are_as_the_document_has_them() -> None:
    async with calling(app(MemoryLog())) as client:
        document = (await client.get(DOCUMENT_PATH)).json()
        delivery = fixture("distribution", "push-manifest-tag")
        accepted = await client.post("/hooks/local", content=delivery.body, headers=dict(delivery.headers))
        refused = [await client.post("/hooks/local", content=b"{"), await client.post("/hooks/nowhere")]
        alive, ready = await client.get("/healthz"), await client.get("/readyz")
        allowed = await client.options("/hooks/local", headers={"WebHook-Request-Origin": "events.example"})
        asked = await client.options("/hooks/local")
    paths = document["paths"]
    cases = [("/hooks/{source}", "post", answer) for answer in (accepted, *refused)]
    cases += [("/hooks/{source}", "options", asked), ("/healthz", "get", alive), ("/readyz", "get", ready)]
    for path, method, answer in cases:
        schema = paths[path][method]["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
        schema |= {"components": document["components"]}
        assert (
            list(
                validator_for({"$schema": "https://json-schema.org/draft/2020-12/schema"})(schema).iter_errors(
                    answer.json()
                )
            )
            == []
        )
    assert [answer.status_code for _, _, answer in cases] == [202, 400, 404, 400, 200, 200]
    assert set(paths["/hooks/{source}"]["options"]["responses"]["200"]["headers"]) >= {
        "Allow",
        "WebHook-Allowed-Origin",
    }
    assert allowed.status_code == 200
