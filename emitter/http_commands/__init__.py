"""Commands by way of a gateway, for trainers that cannot reach Kafka: standard library only.

``link`` feeds a Commander, ``client`` makes the requests. The gateway need not be trusted: what it hands
over is checked against the signature that the sender made.
"""
