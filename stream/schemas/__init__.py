"""JSON Schemas of what we publish, and an AsyncAPI document. ``python -m stream.schemas`` writes them.

``forms`` turns a dataclass into a schema, ``messages`` lists the messages, ``asyncapi`` says where they
travel.
"""
