"""Panels that none of our dashboards has, drawn from data given by hand: Grafana's others may have them."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser import chrome

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STATES = """async () => {
    const { States } = await import("/static/draw/states.js");
    const panel = { type: "state-timeline", options: {}, fieldConfig: { defaults: {} } };
    const series = [{ name: "host-1", values: ["up", "down"] }];
    const frame = { times: [0, 50], interval: 50, series };
    const ctx = document.createElement("canvas").getContext("2d");
    const said = [];
    ctx.fillText = (text, x) => said.push([text, x, ctx.textAlign]);
    ctx.textAlign = "right";  // as the axis leaves it
    const u = { ctx, bbox: { left: 0, top: 0, width: 400, height: 40 } };
    u.valToPos = (value, axis) => value * (axis === "x" ? 4 : 40);
    const states = Object.create(States.prototype);
    Object.assign(states, { panel, frame, view: { to: 100 }, words: ["down", "up"] }).drawOver(u);
    return said;
}"""
TEXT = """async (content) => {
    const { Text } = await import("/static/draw/text.js");
    const body = document.createElement("div");
    new Text(body, { options: { content } }).update(null, { variables: {} });
    return body.firstChild.innerHTML;
}"""


def _asked(browser: Browser, viewer: str, script: str, given: Any = None) -> Any:
    with chrome.tab(browser, viewer) as tab:
        tab.open("#/d/trainwarden-fleet")
        return tab.page.evaluate(script, given)


def test_a_state_has_its_word_where_it_begins(browser: Browser, viewer: str) -> None:
    """Whatever way the axis wrote its own words."""
    assert sorted(_asked(browser, viewer, STATES)) == [["down", 205, "left"], ["up", 5, "left"]]


def test_text_becomes_elements(browser: Browser, viewer: str) -> None:
    """Headings, lists of both kinds, links of ours and of the web; HTML and scripts stay words."""
    content = "# One\n\n- a\n- **b**\n\n1. c\n2. d\n\n[x](/d/u) [y](javascript:z) `<i>`"
    assert _asked(browser, viewer, TEXT, content) == (
        "<h2>One</h2><ul><li>a</li><li><b>b</b></li></ul><ol><li>c</li><li>d</li></ol>"
        '<p><a href="#/d/u">x</a> [y](javascript:z) <code>&lt;i&gt;</code></p>'
    )
