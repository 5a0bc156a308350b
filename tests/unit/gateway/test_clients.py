"""What a call to inference or reports that got no answer counts as."""

import socket
import threading
import time

import pytest

from neuroscan.settings import GatewaySettings
from services.gateway.pipeline.breaker import Dropped, NoAnswer
from services.gateway.pipeline.clients import InferenceClient


def ask(port: int) -> None:
    client = InferenceClient(GatewaySettings(inference_url=f"http://127.0.0.1:{port}"))
    try:
        client.classify(b"slice", request_id="r", timeout_s=0.6)
    finally:
        client.close()


def test_a_service_that_ends_over_a_request_is_told_from_one_that_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def take_and_end() -> None:
            connection, _ = server.accept()
            connection.recv(65_536)
            connection.close()

        thread = threading.Thread(target=take_and_end)
        thread.start()
        with pytest.raises(Dropped) as dropped:
            ask(port)
        thread.join()
        assert dropped.value.problem().code == "stage_timed_out"
        # Nobody accepts any more: the request is taken, and nothing follows.
        began = time.monotonic()
        with pytest.raises(NoAnswer) as silent:
            ask(port)
        assert time.monotonic() - began < 3
    with pytest.raises(NoAnswer) as away:
        ask(port)
    for error in (silent.value, away.value):
        assert not isinstance(error, Dropped)
        assert error.problem().code == "unavailable"
