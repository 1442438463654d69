"""The keys of a pack, a rule and a sample: meaning, default and form, one table each.

docs/rules.md and the JSON Schema are made from these tables, and a test holds the readers to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from emitter.vocabulary import diagnoses
from stream.rulelang import forms
from stream.rulelang.forms import array, mapping


@dataclass(frozen=True)
class Key:
    """One key. ``default`` is "" where it has none; ``form`` is its JSON Schema."""

    name: str
    meaning: str
    form: Mapping[str, Any]
    default: str = ""
    required: bool = False


PACK: Final = (
    Key("pack", "name of the pack; files of one name are one pack", forms.IDENTIFIER, required=True),
    Key("rules", "list of rules", {"type": "array", "items": {"$ref": "#/$defs/rule"}}, required=True),
)

RULE: Final = (
    Key("id", "unique over all packs, lower case with dashes", forms.IDENTIFIER, required=True),
    Key("category", "one of the known categories, or `custom.*`", forms.CATEGORY, required=True),
    Key("summary", "a sentence with `{name}` or `{name:.3g}`, see below", forms.SUMMARY, required=True),
    Key("on", "the event whose records are samples, see below; none beside `absent`", forms.EVENT),
    Key("by", "what one series is: `run`, and any of `role`, `rank`, `node` and texts of the event",
        forms.TEXTS, "`[run, role, rank]`"),
    Key("where", "records for which this does not hold are no samples; no windows here",
        forms.EXPRESSION, "all"),
    Key("params", "named numbers, which can be set from outside", forms.PARAMS),
    Key("with", "named values of other events of the same series", forms.NAMED),
    Key("let", "named expressions; each may use those above it", forms.NAMED),
    Key("when", "the condition; needed but for `match` and `absent`", forms.EXPRESSION),
    Key("for", "so many samples in a row (`2`), or matching samples only across so much event time (`30s`)",
        forms.PERSISTENCE, "1"),
    Key("clear_when", "resolves when this holds, instead of when `when` does not", forms.EXPRESSION),
    Key("keep_firing", "resolves only this long after the last match", forms.DURATION, "0"),
    Key("learn",
        "`all`: every sample enters the windows; `calm`: none that matches, none while the rule fires",
        {"enum": ["all", "calm"]}, "`all`"),
    Key("match",
        "for `train.log`: regular expressions (RE2); a line that none of them matches is no sample",
        forms.TEXTS),
    Key("unless", "regular expressions; a line that one of them matches is no sample", forms.TEXTS),
    Key("absent", "fires when something stays away, see below", forms.ABSENT),
    Key("inhibited_by", "ids of rules that keep this one quiet while they fire in the same run and attempt",
        forms.TEXTS),
    Key("same", "causes count only where these agree: `run`, `node`, `rank`, `role`",
        forms.SAME, "any of the run"),
    Key("severity", "`info`, `warning`, `critical`", {"enum": list(diagnoses.SEVERITIES)}, "`warning`"),
    Key("mode", "`act`, `approve`, `shadow`: what remediation may do with it",
        {"enum": ["act", "approve", "shadow"]}, "remediation's"),
    Key("maturity", "`stable`, or `experimental`: off unless asked for",
        {"enum": ["stable", "experimental"]}, "`stable`"),
    Key("cooldown",
        "remediation repeats no action of this rule on a run within this time; it holds back no diagnosis",
        forms.DURATION, "0"),
    Key("settle", "remediation waits this long (event time) for a cause to show up before it acts",
        forms.DURATION, "0"),
    Key("then",
        "actions in order: `- save: {kind: forensic}`; `if_unresolved: 5m` on one: if it still fires then",
        forms.ACTIONS_FORM, "nothing"),
    Key("runbook",
        "a page in `runbooks/` beside the file; its list under \"What to do\" becomes the suggestions",
        {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,100}\.md$"}),
    Key("tests", "samples, see below", {"type": "array", "items": {"$ref": "#/$defs/sample"}}),
)  # fmt: skip

SAMPLE: Final = (
    Key("name", "what it shows", forms.TEXT, required=True),
    Key("series", "what rank 0 sends: name to series", {"$ref": "#/$defs/series"}),
    Key("lines", "log lines of rank 0", forms.TEXTS),
    Key("ranks", "what several ranks send: `{0-2: {step_time: 1x30}, 3: {step_time: 1x9 3x20, node: b}}`",
        mapping({"$ref": "#/$defs/rank"}, r"^[0-9]{1,6}(-[0-9]{1,6})?$")),
    Key("events",
        "single events, each with `at` and `event`, and `rank`, `attempt`, `step`, `node`, `role`, fields",
        array({"$ref": "#/$defs/event"}, least=0)),
    Key("every", "time between steps and between lines", forms.DURATION, "1s"),
    Key("until", "the clock goes on to here, if that is later", forms.DURATION, "the last step"),
    Key("expect", "where the rule fires: `[{step: 102}]`, `[{line: 3}]` (from 1), `[{at: 210s}]`, "
        "with `rank: 3` where there are several; `[]` for nowhere",
        {"$ref": "#/$defs/expected"}, required=True),
    Key("resolved", "where it resolves", {"$ref": "#/$defs/expected"}, "not compared"),
)  # fmt: skip
