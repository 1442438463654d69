"""OTLP as it comes in: bytes to messages, messages to events. Pure: no broker, no clock.

Reading order: ``parse`` (protobuf), ``jsoncodec`` (OTLP/JSON), ``anyvalue`` and ``resources`` (the parts),
``events`` (logs and spans), ``layout`` (its short cut), ``points`` (metrics), ``beacon`` (our sign of life).
Source: https://opentelemetry.io/docs/specs/otlp/ and opentelemetry-proto 1.x.
"""
