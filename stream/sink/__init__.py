"""What every stage produced, written to the history in ClickHouse.

Reading order: ``records`` (what comes in), ``logs`` ``spans`` ``points`` ``decisions`` (records to rows),
``tables`` (rows to Arrow), ``cuts`` (where one batch ends and the next begins), ``writer`` (the inserts),
``pipeline`` (buffers, acknowledgements, ClickHouse away), ``agent`` (Faust).
"""
