"""The ledger of remediation, read: what was seen, decided, sent, answered and said by people.

``book`` holds records, wherever they were read from: from the topics (``topics``) or from ClickHouse
(``stream.history.ledger``). ``story`` answers questions about them, ``words`` says what people decide.
"""
