"""Reports of runs and incidents as one file that needs nothing else, and runs side by side; docs/reports.md.

``about_run``, ``about_incident`` and ``comparing`` ask the history, ``charts`` draws what ``curves`` reduced
in SQL, ``hints`` draws conclusions from the facts, ``pages`` writes HTML and Markdown. Text that others wrote
goes through ``plain``.
"""
