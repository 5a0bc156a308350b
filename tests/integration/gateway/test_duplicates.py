"""The same picture of one patient, sent again: which scan is the first, whatever comes and goes."""

from concurrent.futures import ThreadPoolExecutor

import httpx

from tests import pictures
from tests.integration.gateway.calls import new_patient, submit, wait_final


def test_of_many_sent_at_once_one_is_the_first(api: httpx.Client) -> None:
    patient, content = new_patient(api), pictures.png(pictures.head(seed=71))
    with ThreadPoolExecutor(12) as threads:
        sent = list(
            threads.map(lambda _: submit(api, content, patient_id=patient["id"]).json(), range(12))
        )
    firsts = [scan["id"] for scan in sent if scan["duplicate_of"] is None]
    assert len(firsts) == 1
    assert {scan["duplicate_of"] for scan in sent if scan["id"] != firsts[0]} == {firsts[0]}


def test_when_the_first_is_deleted_the_next_takes_its_place(api: httpx.Client) -> None:
    patient, content = new_patient(api), pictures.png(pictures.head(seed=72))
    first, second, third = (
        wait_final(api, submit(api, content, patient_id=patient["id"]).json()["id"])
        for _ in range(3)
    )
    assert (second["duplicate_of"], third["duplicate_of"]) == (first["id"], first["id"])
    urls = {scan["id"]: f"/v1/scans/{scan['id']}" for scan in (second, third)}
    known = {scan_id: api.get(url).headers["ETag"] for scan_id, url in urls.items()}
    assert api.delete(f"/v1/scans/{first['id']}").status_code == 204
    for scan, expected in ((second, None), (third, second["id"])):
        answer = api.get(urls[scan["id"]], headers={"If-None-Match": known[scan["id"]]})
        assert (answer.status_code, answer.json()["duplicate_of"]) == (200, expected)
