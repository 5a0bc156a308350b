"""Reads server-sent events as a browser does."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx


@dataclass
class Event:
    """One event, or a comment, which has no name."""

    name: str = ""
    id: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    comment: str | None = None


def parse(lines: Iterator[str]) -> Iterator[Event]:
    """The events in a stream's lines."""
    event = Event()
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            yield event
            event = Event()
        elif not name:
            event.comment = value
        elif name == "event":
            event.name = value
        elif name == "id":
            event.id = value
        elif name == "data":
            event.data = json.loads(value)


def follow(api: httpx.Client, path: str, last: str | None = None) -> list[Event]:
    """Every event until the stream closes."""
    headers = {"Last-Event-ID": last} if last is not None else {}
    with api.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, answer.status_code
        assert answer.headers["content-type"].startswith("text/event-stream")
        return list(parse(answer.iter_lines()))
