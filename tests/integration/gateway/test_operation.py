"""Health, status, documents."""

import httpx


def test_every_part_is_ready(api: httpx.Client) -> None:
    ready = api.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json()["status"] == "ok"
    assert all(part["ok"] for part in ready.json()["parts"].values())
    assert api.get("/health/live").json() == {"status": "ok"}


def test_status_names_device_model_and_queue(api: httpx.Client) -> None:
    status = api.get("/v1/status").json()
    assert status["status"] == "ok"
    assert status["device"]["device"] in ("cpu", "cuda")
    assert status["model"]["name"] == api.get("/v1/model").json()["model"]["name"]
    assert status["queue"]["waiting"] >= 0


def test_documents_need_no_other_host(api: httpx.Client) -> None:
    page = api.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text
    assert "http://" not in page.text
    document = api.get("/v1/openapi.json").json()
    assert document["info"]["title"] == "NeuroScan"
    post = document["paths"]["/v1/scans"]["post"]
    assert "application/problem+json" in post["responses"]["422"]["content"]


def test_each_answer_carries_the_request_id(api: httpx.Client) -> None:
    assert (
        api.get("/health/live", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"]
        == "abc-1"
    )
    replaced = api.get("/health/live", headers={"X-Request-ID": "bad id"})
    assert " " not in replaced.headers["X-Request-ID"]
