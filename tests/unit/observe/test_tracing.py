"""Tracing switched off costs nothing; switched on, it holds up nobody and tells no names."""

import subprocess
import sys
import time

import pytest

from neuroscan import tracing
from neuroscan.stack.ports import free_ports
from neuroscan.tracing import Kind, begin_tracing, end_tracing, note, span, trace_headers
from tests.otlp_collector import collector

PARENT = f"00-{'a' * 32}-{'b' * 16}-01"
OFF = f"""
import sys
from neuroscan.tracing import Kind, begin_tracing, note, span, trace_headers
begin_tracing("test")
with span("work", Kind.CONSUMER, headers={{"traceparent": "{PARENT}"}}):
    note({{"a": 1}})
    assert trace_headers() == {{}}
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
"""


def test_without_a_collector_nothing_of_the_sdk_is_imported() -> None:
    subprocess.run([sys.executable, "-c", OFF], env={}, check=True)


def test_without_a_collector_a_span_is_one_and_the_same_nothing() -> None:
    assert span("a", Kind.SERVER) is span("b", Kind.CLIENT)


def test_a_span_that_raises_says_the_kind_of_error_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as received:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.endpoint)
        begin_tracing("test")
        with pytest.raises(ValueError, match="Zebrafink"), span("work", Kind.CONSUMER):
            raise ValueError("Zebrafink")
        end_tracing()
        (seen,) = received.spans()
    assert seen.failed
    assert seen.attributes == {"error.type": "ValueError"}
    assert seen.events == 0
    assert b"Zebrafink" not in b"".join(received.bodies)


def test_the_trace_goes_on_in_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as received:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.endpoint)
        begin_tracing("test")
        with span("first", Kind.CLIENT):
            headers = trace_headers()
        with span("second", Kind.SERVER, headers=headers):
            note({"http.route": "/"}, name="renamed")
        with span("broken", Kind.SERVER, headers={"traceparent": "no trace"}):
            pass
        end_tracing()
        first, second, broken = received.spans()
    assert (second.trace, second.parent, second.name) == (first.trace, first.id, "renamed")
    assert broken.trace != first.trace
    assert broken.parent == ""


def test_a_collector_that_is_away_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_ports(1)[0]}")
    begin_tracing("test")
    began = time.monotonic()
    for _ in range(1000):
        with span("work", Kind.SERVER):
            pass
    assert time.monotonic() - began < 2
    end_tracing()
    assert time.monotonic() - began < 15
    assert tracing._recorder is None
