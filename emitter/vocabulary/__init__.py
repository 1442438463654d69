"""The words both sides speak: names, messages and their JSON forms. Standard library only.

Reading order: ``attributes`` (who sends), ``events`` (what is sent), ``metrics`` (names of numbers),
``topics`` (where it travels), ``diagnoses``, ``commands`` (what comes back), ``cloudevents`` (their
envelope), ``stack`` (how parts on one machine find each other).

Evolution: fields are only added, with a default; a field never changes type or meaning; a name never
changes spelling; readers ignore what they do not know.
"""
