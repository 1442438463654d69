"""Where the messages travel: an AsyncAPI 3.0 document (https://www.asyncapi.com/docs/reference/specification/v3.0.0)."""

from __future__ import annotations

from typing import Any, Final

from emitter.vocabulary import topics
from stream.schemas.messages import Message, all_messages

_SIGNED: Final = {
    "type": "object",
    "properties": {
        topics.HEADER_KEY_ID: {"type": "string", "description": "first 16 hex digits of the key's SHA-256"},
        topics.HEADER_SIGNATURE: {"type": "string", "description": "Ed25519 over the exact value, Base64"},
    },
    "required": [topics.HEADER_KEY_ID, topics.HEADER_SIGNATURE],
}
_ADDRESS: Final = {topic.name: topic for topic in topics.TOPICS}


def document(version: str) -> dict[str, Any]:
    """The document, as plain data."""
    found = all_messages()
    names = list(dict.fromkeys(message.topic for message in found))
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Trainwarden",
            "version": version,
            "description": "What is published as CloudEvents 1.0 in JSON, structured mode, on Kafka. "
            "Read all partitions: clients hash keys differently. Fields are only added.",
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {_channel_name(name): _channel(name, found) for name in names},
        "operations": {f"read-{message.name}": _operation(message) for message in found},
        "components": {"messages": {message.name: _message(message) for message in found}},
    }


def _channel_name(topic: str) -> str:
    return topic.replace(".", "-")


def _channel(topic: str, found: list[Message]) -> dict[str, Any]:
    known = _ADDRESS[topic]
    return {
        "address": topic,
        "description": f"{known.value}; the key is: {known.key}",
        "messages": {
            message.name: {"$ref": f"#/components/messages/{message.name}"}
            for message in found
            if message.topic == topic
        },
        "bindings": {
            "kafka": {
                "topic": topic,
                **({"partitions": known.partitions} if known.partitions else {}),
                "topicConfiguration": {"retention.ms": known.retention_ms},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operation(message: Message) -> dict[str, Any]:
    channel = _channel_name(message.topic)
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{message.name}"}],
    }


def _message(message: Message) -> dict[str, Any]:
    return {
        "name": message.kind,
        "title": message.name,
        "summary": message.summary,
        **({"headers": _SIGNED} if message.signed else {}),
        "payload": {"$ref": f"schemas/{message.name}.json"},
    }
