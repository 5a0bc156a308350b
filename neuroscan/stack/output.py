"""The lines of all processes in one stream, each behind its service's name."""

import asyncio
import itertools
import os
import sys
from typing import TextIO

_COLORS = itertools.cycle((36, 32, 33, 35, 34, 96, 92, 93, 95, 94))
_WIDTH = 9
_CHUNK_BYTES = 65536
_LONGEST_LINE_BYTES = 65536


class Output:
    """Where lines go; says nothing any more once nobody can read it."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._colored = self._stream.isatty() and "NO_COLOR" not in os.environ
        self._prefixes: dict[str, str] = {}

    def line(self, name: str, text: str) -> None:
        """Print one line."""
        try:
            self._stream.write(f"{self._prefix(name)}{text}\n")
            self._stream.flush()
        except (OSError, ValueError):
            # The terminal or the pipe is gone; the services are more important than their logs.
            self._stream = open(os.devnull, "w")  # noqa: SIM115, PTH123 - lives as long as we do

    def follow(self, name: str, descriptor: int) -> None:
        """Print everything that comes through a pipe, until it ends; takes the descriptor over."""
        os.set_blocking(descriptor, False)
        _Reader(self, name, descriptor)

    def _prefix(self, name: str) -> str:
        if name not in self._prefixes:
            label = f"{name:<{_WIDTH}} | "
            color = next(_COLORS) if self._colored else 0
            self._prefixes[name] = f"\x1b[{color}m{label}\x1b[0m" if self._colored else label
        return self._prefixes[name]


class _Reader:
    """Cuts the bytes of one pipe into lines."""

    def __init__(self, output: Output, name: str, descriptor: int) -> None:
        self._output = output
        self._name = name
        self._descriptor = descriptor
        self._rest = b""
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _read(self) -> None:
        try:
            chunk = os.read(self._descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            return
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if self._rest and (not chunk or len(self._rest) > _LONGEST_LINE_BYTES):
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self._output.line(self._name, line.decode(errors="replace").rstrip("\r"))
        if not chunk:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
