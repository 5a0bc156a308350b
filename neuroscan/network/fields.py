"""Frozen dataclasses from JSON objects, checked field by field.

`neuroscan.network` runs where pydantic is not installed; this is the little of it that a bundle
needs.
"""

import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class FieldError(ValueError):
    """A field is missing, unknown or of another type; the message names it with its path."""


def read_fields(kind: type[T], value: object, where: str) -> T:
    """An instance of the frozen dataclass `kind` from a JSON object.

    Knows str, int, float (finite), bool, dict, tuples (of one kind or of fixed length), optional
    fields and nested dataclasses. Raises `FieldError`; `where` is the path that it names.
    """
    if not isinstance(value, Mapping):
        raise FieldError(f"{where} must be an object")
    hints = get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]  # any dataclass
    if unknown := sorted(set(value) - set(fields)):
        raise FieldError(f"{where} has unknown fields: {', '.join(unknown)}")
    required = {name for name, field in fields.items() if _required(field)}
    if missing := sorted(required - set(value)):
        raise FieldError(f"{where} lacks: {', '.join(missing)}")
    read = {name: _read(hints[name], item, f"{where}.{name}") for name, item in value.items()}
    try:
        return kind(**read)
    except FieldError:
        raise
    except ValueError as error:
        raise FieldError(f"{where}: {error}") from error


def _required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _read(kind: Any, value: object, where: str) -> object:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _read_optional(kind, value, where)
    if origin is tuple:
        return _read_tuple(get_args(kind), value, where)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return read_fields(kind, value, where)
    return _read_scalar(origin or kind, value, where)


def _read_optional(kind: Any, value: object, where: str) -> object:
    if value is None:
        return None
    inner = next(option for option in get_args(kind) if option is not type(None))
    return _read(inner, value, where)


def _read_tuple(items: tuple[Any, ...], value: object, where: str) -> tuple[object, ...]:
    if not isinstance(value, list | tuple):
        raise FieldError(f"{where} must be a list")
    if len(items) == 2 and items[1] is Ellipsis:
        kinds = (items[0],) * len(value)
    elif len(items) == len(value):
        kinds = items
    else:
        raise FieldError(f"{where} must have {len(items)} items")
    return tuple(
        _read(kind, item, f"{where}[{index}]")
        for index, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _read_scalar(kind: Any, value: object, where: str) -> object:
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise FieldError(f"{where} must be finite")
        return float(value)
    if kind is Mapping or kind is dict:
        if isinstance(value, Mapping):
            return dict(value)
        raise FieldError(f"{where} must be an object")
    if kind is object or (
        isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    ):
        return value
    raise FieldError(f"{where} must be {getattr(kind, '__name__', kind)}")
