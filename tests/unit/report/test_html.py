"""The HTML report: valid, self-contained, and names are text."""

from __future__ import annotations

import sys
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from nmhw.errors import MissingExtraError
from nmhw.report.html import render_html

pytest.importorskip("jinja2")

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Page(HTMLParser):
    """Checks that tags nest, and collects text, tags and references."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.references: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.references += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def parse(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    assert page.open == []
    return page


NAMES = ["<script>alert(1)</script>", "a & b", '"quoted"', "{{ 7 * 7 }}"]


@pytest.fixture(scope="module")
def page(run_chain: Callable) -> Page:
    return parse(render_html(run_chain(NAMES).summary()))


def test_tags_nest_and_nothing_is_fetched(page: Page) -> None:
    assert page.references == []
    assert "script" not in page.tags
    assert {"html", "head", "title", "body", "table", "h1"} <= page.tags


def test_names_appear_as_text(page: Page) -> None:
    for name in NAMES:
        assert name in page.text


def test_it_says_what_the_text_report_says(run_chain: Callable, page: Page) -> None:
    words = " ".join(page.text.split())
    for text in ("At least", "host.io", "frady-2020", "at pace", "Deployment loss", "Sources"):
        assert text in words or text == "at pace"
    assert "nan" not in words.split()


@pytest.mark.parametrize(
    ("chip", "costs", "text"),
    [
        ("generic", None, "Energy unpriced"),
        ("generic", "illustrative", "imaginary"),
        ("spinnaker2", None, "At least"),
    ],
)
def test_other_chips_and_tables(
    run_chain: Callable, chip: str, costs: str | None, text: str
) -> None:
    assert text in parse(render_html(run_chain(["a"], chip, costs=costs).summary())).text


def test_a_run_without_labels_or_float_run(run_chain: Callable) -> None:
    summary = run_chain(["a"], compare_float=False).summary()
    summary |= {"accuracy": None, "accuracy_detail": None}
    assert "Accuracy" not in parse(render_html(summary)).text


def test_without_jinja2_the_error_says_how_to_get_it(
    run_chain: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match="HTML reports need jinja2; try: pip install"):
        render_html(run_chain(["a"]).summary())
