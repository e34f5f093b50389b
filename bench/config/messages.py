"""How a mistake is said: one line, with the place, what was found, what is valid and the nearest spelling."""

import re
from typing import Any

from pydantic import BaseModel

from bench.config.values import unknown

# What pydantic names in a path beside the keys of a file: the alternatives of a union, and the key itself.
_NO_KEY = re.compile(r"\[key\]|(function|lax)-.*|constrained-\w+|(literal|nullable|list|dict|tuple)\[.*")

EXPECTED = {
    "bool_type": "expected true or false",
    "int_type": "expected a whole number",
    "float_type": "expected a number",
    "string_type": "expected text",
    "list_type": "expected a list",
    "tuple_type": "expected a tuple",
    "dict_type": "expected settings, {key: value, …}",
    "model_type": "expected settings, {key: value, …}",
    "is_instance_of": "expected a list",
    "sequence_str": "expected a list",
    "too_short": "expected at least one",
    "string_too_short": "expected text",
}


def where(at: tuple) -> str:
    """A place as 'experiments.likelihood.epochs', with keys that are no words in quotes."""
    parts = [part for part in at if not (isinstance(part, str) and _NO_KEY.fullmatch(part))]
    shown = (str(p) if re.fullmatch(r"[\w -]+", str(p)) else short(p) for p in parts)
    return ".".join(shown) or "top level"


def short(value: Any) -> str:
    """The value as Python writes it, at most 60 characters of it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def said(detail: dict, model: type[BaseModel] | None = None) -> str:
    """What one of pydantic's errors says, with the valid values; `model` is that of the section."""
    found, kind = detail.get("input"), detail["type"]
    if kind == "extra_forbidden":
        return unknown(detail["loc"][-1], sorted(_model(model, detail["loc"][:-1]).model_fields))
    if kind == "missing":
        return "missing; nothing says it, and it has no default"
    if kind == "literal_error":
        valid = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
        if valid and isinstance(found, str):
            return unknown(found, valid)
    message = EXPECTED.get(kind) or detail["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    message = message.replace("String should match pattern", "expected text of the form").replace("should have", "has")
    message = message.replace("greater than or equal to", "at least").replace("less than or equal to", "at most")
    return message if isinstance(found, str) and repr(found) in message else f"{message} (found {short(found)})"


def _model(model: type[BaseModel], loc: tuple) -> type[BaseModel]:
    """The nested model that refused a key."""
    for part in loc:
        field = getattr(model, "model_fields", {}).get(part)
        inner = _models(field.annotation) if field else []
        model = inner[0] if inner else model
    return model


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for argument in getattr(annotation, "__args__", ()) for m in _models(argument)]
