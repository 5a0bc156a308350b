"""Each role tries each route: below the declared role it is refused, from there on it is not."""

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from neuroscan.contracts.enums import Role
from services.gateway.auth.middleware import OPEN_FOLDERS, OPEN_PATHS, is_open
from tests.integration.gateway.access import caller, code_of, make_key
from tests.integration.gateway.routes import DOCUMENTS, Route, all_routes

NOBODY = "nobody"
CALLERS = (NOBODY, *Role)
ROUTES = all_routes()
# Without a cookie there is no session to show; see test_access.py.
ASKS_FOR_A_COOKIE = "GET /v1/session"


@pytest.fixture(scope="module")
def clients(api: httpx.Client) -> Iterator[dict[str, httpx.Client]]:
    """A client of each role, and one without a key."""
    with ExitStack() as stack:
        made = {NOBODY: stack.enter_context(caller(api))}
        for role in Role:
            made[role] = stack.enter_context(caller(api, make_key(api, role).key))
        yield made


@pytest.mark.parametrize("who", CALLERS)
@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_a_route_lets_in_whom_it_declares(
    clients: dict[str, httpx.Client], route: Route, who: str
) -> None:
    answer = clients[who].request(route.method, route.url())
    if _may(who, route.role):
        if str(route) != ASKS_FOR_A_COOKIE:
            assert answer.status_code not in (401, 403), answer.text
        assert answer.status_code < 500, answer.text
    elif who == NOBODY:
        assert code_of(answer) == (401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    else:
        assert code_of(answer) == (403, "forbidden")


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_a_route_declares_one_role(route: Route) -> None:
    assert len(route.declares) == 1


def test_the_paths_that_are_open_are_those_that_anybody_may_call() -> None:
    for route in ROUTES:
        assert is_open(route.path) == (route.role is None), route
    for path in DOCUMENTS:
        assert is_open(path) or f"{path}/" in OPEN_FOLDERS


def test_an_open_path_that_no_route_serves_is_not_found(api: httpx.Client) -> None:
    served = {route.path for route in ROUTES} | DOCUMENTS
    folders = [f"{folder}nothing" for folder in OPEN_FOLDERS]
    with caller(api) as nobody:
        for path in [*(OPEN_PATHS - served), *folders]:
            assert nobody.get(path).status_code == 404, path


def test_what_is_no_route_says_nothing_to_a_stranger(api: httpx.Client) -> None:
    with caller(api) as nobody:
        for path in ("/v1/nothing", "/v1/scans/", "/V1/scans", "//v1/scans", "/docs/../v1/scans"):
            assert code_of(nobody.get(path)) == (401, "unauthenticated"), path


def _may(who: str, declared: Role | None) -> bool:
    if declared is None:
        return True
    return who != NOBODY and Role(who).includes(declared)
