"""Tells what in one OpenAPI document breaks clients that were made for another one. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]
_PROSE = frozenset({"description", "summary", "example", "examples", "title", "tags", "info", "license"})
_FLOORS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_CEILINGS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_NAMED = frozenset({"properties", "schemas", "headers", "responses", "paths", "webhooks", "content"})


def skeleton(part: Any, *, named: bool = False) -> Any:
    """A part of a document without prose: what `breaks` reads. `named`: its keys are names that somebody chose."""
    if isinstance(part, list):
        return [skeleton(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {
        key: skeleton(value, named=not named and key in _NAMED)
        for key, value in part.items()
        if named or key not in _PROSE
    }


def breaks(before: Schema, now: Schema) -> list[str]:
    """Each difference by which a client that was made for the document before may fail with the API of now."""
    return sorted({*_Comparison(before, now).paths(), *_Comparison(before, now).webhooks()})


class _Comparison:
    """Two documents. What clients send may not be narrowed, and what they get may not be widened."""

    def __init__(self, before: Schema, now: Schema) -> None:
        self.before, self.now = before, now
        self._under_way: set[tuple[str, str, bool]] = set()

    def paths(self) -> Iterator[str]:
        """Compare the operations."""
        for path, item in self.before["paths"].items():
            for method, old in item.items():
                place = f"{method.upper()} {path}"
                new = self.now["paths"].get(path, {}).get(method)
                if new is None:
                    yield f"{place}: is gone"
                    continue
                if old.get("operationId") != new.get("operationId"):
                    yield f"{place}: operation id {old.get('operationId')} is now {new.get('operationId')}"
                if not old.get("security") and new.get("security") and {} not in new["security"]:
                    yield f"{place}: needs a sign-in now"
                yield from self._parameters(old, new, place)
                yield from self._body(old, new, place)
                yield from self._answers(old, new, place)

    def webhooks(self) -> Iterator[str]:
        """Compare the events that webhooks get."""
        for name, old in self.before.get("webhooks", {}).items():
            new = self.now.get("webhooks", {}).get(name)
            if new is None:
                yield f"webhook {name}: is gone"
                continue
            yield from self._contents(
                old["post"]["requestBody"], new["post"]["requestBody"], f"webhook {name}", sent=False
            )

    def _parameters(self, old: Schema, new: Schema, place: str) -> Iterator[str]:
        olds, news = (
            {(each["in"], each["name"]): each for each in operation.get("parameters", ())} for operation in (old, new)
        )
        for key, parameter in news.items():
            if parameter.get("required") and not olds.get(key, {}).get("required"):
                yield f"{place}: {key[0]} parameter {key[1]} is required now"
        for key, parameter in olds.items():
            if key in news:
                where = f"{place}: {key[0]} parameter {key[1]}"
                yield from self._schema(parameter["schema"], news[key]["schema"], where, sent=True)
            else:
                yield f"{place}: {key[0]} parameter {key[1]} is gone"

    def _body(self, old: Schema, new: Schema, place: str) -> Iterator[str]:
        olds, news = old.get("requestBody"), new.get("requestBody")
        if news and news.get("required") and not (olds or {}).get("required"):
            yield f"{place}: a body is required now"
        if olds and not news:
            yield f"{place}: takes no body now"
        elif olds and news:
            yield from self._contents(olds, news, f"{place}: body", sent=True)

    def _answers(self, old: Schema, new: Schema, place: str) -> Iterator[str]:
        for status, answer in old["responses"].items():
            if not status.startswith(("2", "3")):
                continue  # a refusal that is answered no more breaks nobody
            if status not in new["responses"]:
                yield f"{place}: answers no {status} now"
                continue
            wanted = new["responses"][status]
            for header in answer.get("headers", {}):
                if header not in wanted.get("headers", {}):
                    yield f"{place}: {status} has no header {header} now"
            yield from self._contents(answer, wanted, f"{place}: {status}", sent=False)

    def _contents(self, old: Schema, new: Schema, place: str, *, sent: bool) -> Iterator[str]:
        for media, content in old.get("content", {}).items():
            if media not in new.get("content", {}):
                yield f"{place}: no {media} now"
            else:
                yield from self._schema(
                    content.get("schema", {}), new["content"][media].get("schema", {}), place, sent=sent
                )

    def _schema(self, old: Schema, new: Schema, place: str, *, sent: bool) -> Iterator[str]:
        """Compare two schemas; `sent`: of what clients send, not of what they get."""
        names = (old.get("$ref", ""), new.get("$ref", ""), sent)
        if names in self._under_way:
            return
        if names[0] or names[1]:
            self._under_way.add(names)
        old, new = _resolved(self.before, old), _resolved(self.now, new)
        yield from self._values(old, new, place, sent=sent)
        yield from self._properties(old, new, place, sent=sent)
        if "items" in old and "items" in new:
            yield from self._schema(old["items"], new["items"], f"{place}[]", sent=sent)
        for word in ("oneOf", "anyOf", "allOf"):
            olds, news = old.get(word, []), new.get(word, [])
            if len(olds) != len(news):
                yield f"{place}: {word} has {len(news)} parts now, {len(olds)} before"
            for number, pair in enumerate(zip(olds, news, strict=False)):
                yield from self._schema(*pair, f"{place}.{word}[{number}]", sent=sent)
        self._under_way.discard(names)

    def _values(self, old: Schema, new: Schema, place: str, *, sent: bool) -> Iterator[str]:
        """Which values there may be: none fewer in what is sent, none more in what is got."""
        narrow, wide = (new, old) if sent else (old, new)
        less = "takes less now" if sent else "may be more now"
        types = _types(narrow), _types(wide)
        if types[0] and not (types[1] and types[1] <= types[0]):
            yield f"{place}: type {less}: {_told(old.get('type'))} before, {_told(new.get('type'))} now"
        few, many = _enumerated(narrow), _enumerated(wide)
        if few is not None and (many is None or not many <= few):
            changed = sorted((many or set()) ^ few)
            yield f"{place}: enumeration {less}: {', '.join(changed)}"
        if not sent:
            return
        for word in _FLOORS:
            if word in new and new[word] > old.get(word, float("-inf")) and (word != "minLength" or new[word] > 0):
                yield f"{place}: {word} is {new[word]} now, {_told(old.get(word))} before"
        for word in _CEILINGS:
            if word in new and new[word] < old.get(word, float("inf")):
                yield f"{place}: {word} is {new[word]} now, {_told(old.get(word))} before"
        for word in ("pattern", "format"):
            if word in new and new[word] != old.get(word):
                yield f"{place}: {word} is {new[word]} now, {_told(old.get(word))} before"

    def _properties(self, old: Schema, new: Schema, place: str, *, sent: bool) -> Iterator[str]:
        olds, news = old.get("properties", {}), new.get("properties", {})
        for name, field in olds.items():
            if name in news:
                yield from self._schema(field, news[name], f"{place}.{name}", sent=sent)
            elif not sent or new.get("additionalProperties") is False:
                yield f"{place}.{name}: is gone"
        before, now = set(old.get("required", ())), set(new.get("required", ()))
        for name in sorted(now - before) if sent else ():
            yield f"{place}.{name}: is required now"
        for name in sorted((before - now) & set(news)) if not sent else ():
            yield f"{place}.{name}: may be absent now"


def _resolved(document: Schema, schema: Schema) -> Schema:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _types(schema: Schema) -> set[str]:
    """The types that are permitted; none when any is. A whole number is a number, too."""
    named = schema.get("type", [])
    found = {named} if isinstance(named, str) else set(named)
    return found | {"integer"} if "number" in found else found


def _enumerated(schema: Schema) -> set[str] | None:
    if "const" in schema:
        return {str(schema["const"])}
    return {str(each) for each in schema["enum"]} if "enum" in schema else None


def _told(value: Any) -> str:
    if value is None:
        return "none"
    return " or ".join(value) if isinstance(value, list) else str(value)
