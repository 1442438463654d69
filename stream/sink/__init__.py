"""What every stage produced, written to the history in ClickHouse.

Reading order: ``records`` (what comes in), ``logs`` ``spans`` ``points`` ``decisions`` (records to rows),
``tables`` (rows to Arrow), ``cuts`` (where one batch ends and the next begins), ``plans`` and ``partition``
(batches that another sink planned before), ``register`` (what sinks tell each other through ClickHouse),
``settle`` (who stores what was sent twice), ``wave`` (batches that are stored together), ``writer`` (the
inserts), ``pipeline`` (buffers, acknowledgements, ClickHouse away), ``agent`` (Faust).
"""
