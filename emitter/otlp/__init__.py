"""OTLP without the OpenTelemetry SDK: records to protobuf bytes, the environment's settings, transports."""
