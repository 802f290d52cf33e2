"""The AsyncAPI document and the contract say the same: subjects, events, frames and close codes."""

import dataclasses
from pathlib import Path

import jsonschema
import pytest
import yaml

from taskbell.contract import subjects
from taskbell.contract.events import SCHEMA_BASE, EventType
from taskbell.contract.frames import ClientFrame, CloseCode, Resume, ServerFrame
from taskbell.contract.schemas.documents import event_schemas
from taskbell.contract.webhooks import TEST_TYPE, is_shared
from taskbell.gateway.cap import EVERYBODY, Told
from taskbell.kit import nats_dead_letters

PATH = Path(__file__).resolve().parents[2] / "docs/reference/asyncapi.yaml"
EVENTS = {*map(str, EventType)}


@pytest.fixture(scope="module")
def document():
    """The document as it is written."""
    return yaml.safe_load(PATH.read_text())


def follow(document, part):
    """What a reference within the document leads to."""
    while "$ref" in part and part["$ref"].startswith("#/"):
        found = document
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


def names(document, channel):
    """The names of a channel's messages."""
    return {follow(document, each)["name"] for each in document["channels"][channel]["messages"].values()}


def references(part):
    """Every reference in a part of the document."""
    if isinstance(part, dict):
        found = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return found + [each for value in part.values() for each in references(value)]
    return [each for value in part for each in references(value)] if isinstance(part, list) else []


def test_every_reference_leads_somewhere(document):
    """References within the document, and to the schemas of the contract."""
    found = references(document)
    assert len(found) > 50
    for reference in found:
        if reference.startswith("#/"):
            follow(document, {"$ref": reference})
        else:
            assert (PATH.parent / reference).is_file(), reference


def test_channels_are_the_subjects_of_the_contract(document):
    """Every subject has a channel, and no channel is on another one."""
    placed = {channel["address"] for channel in document["channels"].values()}
    assert placed == {
        subjects.event_subject(workspace_id="{workspace}", event_type="{type}"),
        subjects.RELAY_POKE,
        subjects.GATEWAY_CONNECTIONS,
        subjects.DEAD_LETTER_SUBJECT,
        subjects.REDRIVE_SUBJECT,
        f"$KV.{subjects.TICKET_BUCKET}.{{ticket}}",
        f"{subjects.RATE_ROOT}.{{counter}}",
        "/ws",
        "/sse",
        None,  # the addresses of webhooks are their owners'
    }
    titles = " ".join(channel["title"] for channel in document["channels"].values())
    for name in (subjects.STREAM, subjects.DEAD_LETTER_STREAM, subjects.RATE_STREAM, subjects.TICKET_BUCKET):
        assert name in titles
    assert subjects.REDRIVE_CONSUMER in titles
    written = {name for name, value in vars(subjects).items() if name.isupper() and str(value).startswith("taskbell.")}
    assert written == {
        *("EVENTS_ROOT", "RELAY_POKE", "GATEWAY_CONNECTIONS", "RATE_ROOT", "DEAD_LETTER_SUBJECT", "REDRIVE_SUBJECT"),
        "METADATA_EPOCH",
    }, "describe the new subject as a channel of docs/reference/asyncapi.yaml, and name it here"


def test_every_message_is_sent_on_a_channel(document):
    """The stream has all events, webhooks the shared ones, the socket all frames; no message is on no channel."""
    assert names(document, "stream") == EVENTS
    assert names(document, "webhook") == {each for each in EVENTS if is_shared(each)} | {TEST_TYPE}
    assert names(document, "socket") == {*map(str, ServerFrame), *map(str, ClientFrame)}
    used = {each["$ref"] for channel in document["channels"].values() for each in channel["messages"].values()}
    assert used == {f"#/components/messages/{name}" for name in document["components"]["messages"]}
    done = {operation["channel"]["$ref"] for operation in document["operations"].values()}
    assert done >= {f"#/channels/{name}" for name in document["channels"]} - {"#/channels/events"}


def test_events_and_frames_have_their_schemas(document):
    """Each event refers to the contract's schema of its type; each frame says its type; other messages their fields."""
    for message in document["components"]["messages"].values():
        name, payload = message["name"], message["payload"]
        if name in EVENTS:
            _, own = payload["allOf"]
            assert own["properties"]["type"] == {"const": name}
            assert own["properties"]["data"]["$ref"].endswith(f"/{name}.json")
            assert event_schemas()[name]["$id"] == f"{SCHEMA_BASE}/{name}.json"
        elif name in {*ServerFrame, *ClientFrame}:
            assert payload["properties"]["t"] == {"const": name}
            assert "t" in payload["required"]
            jsonschema.Draft202012Validator.check_schema(payload)
    messages = document["components"]["messages"]
    welcome = messages["welcome"]["payload"]["properties"]
    assert welcome["resume"]["enum"] == [*map(str, Resume)]
    told = messages["connections"]["payload"]
    assert set(told["properties"]) == {field.name for field in dataclasses.fields(Told)}
    assert f"`{EVERYBODY}`" in told["properties"]["asks"]["description"]
    assert set(messages["deadLetter"]["headers"]["required"]) == {
        nats_dead_letters.HEADER_REASON,
        nats_dead_letters.HEADER_SUBJECT,
        nats_dead_letters.HEADER_DELIVERIES,
    }


def test_close_codes_are_told(document):
    """Every close code is named where the socket is described."""
    described = document["channels"]["socket"]["description"]
    assert [code for code in CloseCode if str(code.value) not in described] == []
