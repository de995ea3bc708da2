"""The status page as text: what it says, and that nothing in it can act."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import page_models
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driftgauge.sidecar.page_render import Asked, headers, status_page
from driftgauge.sidecar.page_text import shown
from driftgauge.sidecar.page_view import CARDS, LINES
from driftgauge.snapshot import PayloadCounts, Snapshot

NOW = page_models.START + 3_000
TAGS = {
    "a", "article", "body", "div", "footer", "g", "h1", "h2", "h3", "h4", "head", "header", "html",
    "li", "line", "link", "main", "meta", "p", "rect", "section", "span", "strong", "style", "svg",
    "table", "tbody", "td", "text", "th", "thead", "title", "tr", "ul",
}  # fmt: skip
VOID = {"meta", "link"}


class Page(HTMLParser):
    """Tags, attributes and texts of a page; fails where tags do not nest."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert len(dict(attributes)) == len(attributes)
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        pytest.fail(f"a comment: {data!r}")

    @property
    def text(self) -> str:
        return re.sub(r"[ \n]+", " ", " ".join(self.texts))


@cache
def churn(moved: float) -> Snapshot:
    return page_models.churn(moved)


@cache
def hostile() -> Snapshot:
    return page_models.hostile()


def page(*snapshots: Snapshot, **asked: str) -> Page:
    made = Page(status_page(snapshots, Asked.of(asked), now_seconds=NOW))
    assert_harmless(made)
    return made


def assert_harmless(made: Page) -> None:
    assert {tag for tag, _ in made.tags} <= TAGS
    for tag, attributes in made.tags:
        assert not [
            name for name in attributes if name.startswith("on") or name in ("style", "src", "srcdoc")
        ]
        link = attributes.get("href")
        if link is not None:
            assert link in ("data:,", ".", "metrics", "api/v1/snapshot") or link.startswith("?"), (tag, link)


def cards(snapshot: Snapshot, **asked: str) -> list[str]:
    text = status_page([snapshot], Asked.of(asked), now_seconds=NOW)
    return re.findall(r"<h4>(.*?)</h4>", text)


def test_the_only_model_is_shown_at_once() -> None:
    text = page(churn(0)).text
    assert "churn" in text
    assert "no drift" in text
    assert "1\u00a0000 rows" in text
    assert "one false alert in 90 d" in text


def test_several_models_are_listed_worst_first_and_lead_to_their_pages() -> None:
    made = page(churn(0), replace(churn(8), model="fraud & co", model_version="7+1"))
    links = [
        attributes["href"] for tag, attributes in made.tags if tag == "a" and "model=" in str(attributes)
    ]
    assert links == ["?model=fraud+%26+co&version=7%2B1", "?model=churn&version=3"]


def test_two_versions_of_a_model_have_a_page_each() -> None:
    both = (churn(0), replace(churn(0), model_version="4", rows=12_345))
    assert "12\u00a0345" in page(*both, model="churn", version="4").text
    assert "12\u00a0345" not in page(*both, model="churn", version="3").text


def test_the_worst_feature_comes_first_with_its_words_and_its_numbers() -> None:
    assert set(cards(churn(8))[:2]) == {"age", "city"}
    text = page(churn(8)).text
    assert "location +0.8 sd" in text
    assert "unseen +48" in text
    snapshot = churn(8)
    age = next(each for each in snapshot.windows[0].features if each.name == "age")
    assert f"PSI {age.psi:.3f}" in text
    assert f"(noise {age.psi_critical:.3f})" in text


def test_a_window_is_chosen_by_name_and_an_unknown_one_is_the_first() -> None:
    now = {window: page(churn(8), model="churn", window=window).text for window in ("1000rows", "1h", "x")}
    assert "live, 1h" in now["1h"]
    assert now["x"] == now["1000rows"]
    assert now["1h"] != now["1000rows"]


def test_a_model_without_rows_says_so() -> None:
    text = page(page_models.empty()).text
    assert "no rows yet" in text
    assert "The window holds 0 rows, too few for statistics." in text


def test_a_model_without_a_budget_is_ordered_by_effect() -> None:
    snapshot = replace(churn(8), drift=None)
    assert set(cards(snapshot)[:2]) == {"age", "city"}
    text = page(snapshot).text
    assert "beyond noise" in text
    assert "no budget" in text


def test_a_model_that_is_not_there_is_named_and_the_others_are_listed() -> None:
    text = page(churn(0), model="<b>nobody").text
    assert "No model is called <b>nobody here." in text
    assert "churn" in text


def test_no_model_at_all_tells_what_to_do() -> None:
    assert "driftgauge.toml" in page().text


def test_troubles_are_shown_above_the_models() -> None:
    made = Page(status_page([churn(0)], now_seconds=NOW, troubles=["reference '<i>x' is damaged"]))
    assert_harmless(made)
    assert "reference '<i>x' is damaged" in made.text


def test_errors_inside_and_dropped_rows_are_shown_where_there_are_some() -> None:
    snapshot = replace(
        churn(0), internal_errors={"push": 3, "log": 0}, rows_dropped={"buffer_full": 7, "a": 0}
    )
    text = page(snapshot).text
    assert "push 3" in text
    assert "log 0" not in text
    assert "dropped: buffer_full 7" in text


def test_payloads_are_shown_by_way_with_their_reasons() -> None:
    counts = PayloadCounts(
        way="proxy",
        protocol="kserve_v1<i>",
        payloads=1_010,
        decoded=1_000,
        undecodable={"not_json": 7, "empty": 0},
        dropped={"queue_full": 3},
        without_outputs={"wrong_length": 2},
    )
    text = page(replace(churn(0), payloads=(counts,))).text
    assert "proxy kserve_v1<i> 1\u00a0010 1\u00a0000 wrong_length 2 not_json 7 queue_full 3" in text
    assert "empty 0" not in text
    assert "undecodable" not in page(churn(0)).text


def test_of_very_many_features_the_page_draws_some_and_counts_the_rest() -> None:
    base = churn(8)
    names = [f"f{place}" for place in range(1_000)]
    snapshot = replace(
        base,
        features=tuple(replace(base.features[0], name=name) for name in names),
        windows=(
            replace(
                base.windows[0],
                features=tuple(replace(base.windows[0].features[0], name=name) for name in names),
            ),
        ),
        drift=None,
    )
    text = status_page([snapshot], now_seconds=NOW)
    assert text.count("<article") == CARDS
    assert f"{1_000 - CARDS - LINES} more features" in text
    assert len(text) < 250_000


def test_hostile_names_are_shown_and_do_nothing() -> None:
    made = page(hostile())
    names = {each.name for each in hostile().features}
    assert len(names) == len(page_models.HOSTILE) + 1
    for name in names:
        assert re.sub(r"[ \n]+", " ", shown(name)) in made.text, name


def test_hostile_categories_are_shown_and_do_nothing() -> None:
    snapshot = hostile()
    only = replace(snapshot, features=tuple(each for each in snapshot.features if each.name == "category"))
    text = page(only).text
    assert shown(page_models.HOSTILE[0]) in text


NASTY = st.one_of(
    st.text(st.characters(codec=None), max_size=80),
    st.sampled_from(page_models.HOSTILE),
    st.text(st.sampled_from("<>&\"'`=/{}%#-!\\;\x00 ascript"), max_size=60),
)


def renamed(names: Iterator[str]) -> Snapshot:
    """A drifted model in which every text is another."""
    base = churn(8)
    label = {each.name: next(names) + str(place) for place, each in enumerate(base.features)}
    assert base.drift is not None

    def drifts(found: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(
            replace(each, name=label.get(each.name, next(names)), words=next(names), kind=next(names))
            for each in found
        )

    return replace(
        base,
        model=next(names),
        model_version=next(names),
        features=tuple(
            replace(
                each,
                name=label[each.name],
                dtype=next(names),
                kind=next(names),
                bin_labels=tuple(next(names) for _ in each.bin_labels),
            )
            for each in base.features
        ),
        windows=tuple(
            replace(
                window,
                name=next(names),
                features=tuple(replace(each, name=label[each.name]) for each in window.features),
            )
            for window in base.windows
        ),
        drift=replace(
            base.drift,
            dependence=next(names),
            features=drifts(base.drift.features),
            virtual=drifts(base.drift.virtual),
        ),
        rows_dropped={next(names): 1},
        internal_errors={next(names): 1},
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(NASTY, min_size=20, max_size=20), NASTY, NASTY)
def test_no_text_at_all_becomes_a_tag(texts: list[str], window: str, trouble: str) -> None:
    def names() -> Iterator[str]:
        while True:
            yield from texts

    snapshot = renamed(names())
    for asked in (
        Asked(model=snapshot.model, window=window),
        Asked(model=trouble, window=window, refresh=True),
    ):
        text = status_page([snapshot, churn(0)], asked, now_seconds=NOW, troubles=[trouble])
        assert_harmless(Page(text))
        text.encode("utf-8")


def test_the_policy_allows_the_one_style_and_nothing_else() -> None:
    text = status_page([churn(0)], now_seconds=NOW)
    style = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert len(style) == 1
    digest = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    policy = dict(directive.split(" ", 1) for directive in headers()["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


def colours(scheme: str) -> dict[str, str]:
    text = status_page([], now_seconds=NOW)
    light, dark = re.findall(r":root \{(.*?)\}", text, re.DOTALL)[:2]
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", dark if scheme == "dark" else light))


def contrast(one: str, other: str) -> float:
    """Of WCAG 2.2, success criterion 1.4.3."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_both_schemes(scheme: str) -> None:
    have = colours(scheme)
    for ground in ("ground", "card"):
        for text in ("text", "soft", "link", "quiet", "early", "drift", "waiting"):
            assert contrast(have[text], have[ground]) >= 4.5, (scheme, text, ground)  # AA for text
        for drawn in ("live", "reference-edge"):
            assert contrast(have[drawn], have[ground]) >= 3, (scheme, drawn, ground)  # 1.4.11, graphics
    assert contrast(have["live"], have["reference"]) >= 1.5  # they differ in height and outline too
