"""Great Expectations' Data Docs of a round, mended to be read without a network.

Its pages ask content delivery networks for their styles and scripts. Bootstrap and jQuery are
copied from the installed package bootstrap-flask instead; what else they ask for is taken out, and
spa/checks/index.py writes the first page, the only one that needs it. Pages carry clocks and ids.
"""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from great_expectations import Checkpoint, ValidationDefinition
from great_expectations.checkpoint import UpdateDataDocsAction
from great_expectations.core.run_identifier import RunIdentifier

from spa.checks.suites import Suite
from spa.checks.validation import RESULT_FORMAT, gx_suite, quiet_context
from spa.files import replace_folder

_ASSETS = {
    "bootstrap.min.css": "css/bootstrap.min.css",
    "bootstrap.min.js": "js/bootstrap.min.js",
    "jquery.min.js": "jquery.min.js",
    "popper.min.js": "umd/popper.min.js",
}
_FOREIGN = re.compile(
    r"""<script[^>]*\ssrc=["']https?://[^>]*>\s*</script>|<link[^>]*\shref=["']https?://[^>]*>""",
    re.IGNORECASE,
)
_PICTURE = re.compile(
    r"""https://great-expectations-web-assets[^"')]*/(?:(logo-long)|full_logo_dark)\.png[^"')]*"""
)
_ICON = re.compile(r'<i class="[^"]*\bfa[srb]? fa-([a-z-]+)[^"]*"[^>]*>\s*</i>')


@dataclass(frozen=True)
class SuitePage:
    """The page of one suite's results: its place, and how many of its expectations hold."""

    suite: str
    rows: int
    expectations: int
    held: int
    page: Path


def write_pages(folder: Path, suites: Sequence[Suite], *, title: str) -> list[SuitePage]:
    """Validate suites and write the pages of the results.

    Args:
        folder: becomes the site, in place of what lies there.
        suites: measures and rules; those without rows have no page.
        title: the run's name on the pages.
    """
    with replace_folder(folder) as site:
        found = _build(site, [suite for suite in suites if len(suite.frame)], title)
        _copy_assets(site / "static" / "offline")
        for page in site.rglob("*.html"):
            up = "../" * (len(page.relative_to(site).parts) - 1)
            page.write_text(_offline(page.read_text(encoding="utf-8"), up), encoding="utf-8")
        (site / "index.html").write_text(
            '<!DOCTYPE html><meta http-equiv="refresh" content="0; url=../index.html">\n',
            encoding="utf-8",
        )
    return [replace(page, page=folder / page.page.relative_to(site)) for page in found]


def _build(site: Path, suites: Sequence[Suite], title: str) -> list[SuitePage]:
    context = quiet_context()
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(site)}
    index = {"class_name": "DefaultSiteIndexBuilder"}
    context.add_data_docs_site(
        "site",
        {
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "store_backend": store,
            "site_index_builder": index,
        },
    )
    source = context.data_sources.add_pandas("round")
    found = []
    for suite in suites:
        batch = source.add_dataframe_asset(suite.name).add_batch_definition_whole_dataframe("all")
        definition = ValidationDefinition(
            name=suite.name, data=batch, suite=context.suites.add(gx_suite(suite))
        )
        checkpoint = Checkpoint(
            name=suite.name,
            validation_definitions=[context.validation_definitions.add(definition)],
            actions=[UpdateDataDocsAction(name="docs", site_names=["site"])],
            result_format=RESULT_FORMAT,
        )
        done = context.checkpoints.add(checkpoint).run(
            batch_parameters={"dataframe": suite.frame}, run_id=RunIdentifier(run_name=title)
        )
        [result] = done.run_results.values()
        [page] = (site / "validations" / suite.name).rglob("*.html")
        held = sum(bool(one.success) for one in result.results)
        found.append(SuitePage(suite.name, len(suite.frame), len(result.results), held, page))
    return found


def _copy_assets(folder: Path) -> None:
    folder.mkdir(parents=True)
    package = find_spec("flask_bootstrap")
    if package is None or package.origin is None:
        raise RuntimeError("bootstrap-flask is not installed, though pyproject.toml asks for it")
    for name, path in _ASSETS.items():
        source = Path(package.origin).parent / "static" / "bootstrap4" / path
        shutil.copyfile(source, folder / name)


def _offline(page: str, up: str) -> str:
    """A page whose styles and scripts lie beside it, `up` being the way to the site's folder."""
    place = f"{up}static/offline"
    own = f'<link rel="stylesheet" href="{place}/bootstrap.min.css">' + "".join(
        f'<script src="{place}/{name}.min.js"></script>'
        for name in ("jquery", "popper", "bootstrap")
    )
    page = _ICON.sub(_sign, _FOREIGN.sub("", page))
    page = _PICTURE.sub(f"{up}static/images/logo-long.png", page)
    return page.replace("<head>", f"<head>{own}", 1)


def _sign(icon: re.Match[str]) -> str:
    """A character in place of an icon of a font that is not here."""
    signs = {"check-circle": "✔", "times": "✘", "exclamation-triangle": "⚠"}
    return f'<span class="mr-1">{signs.get(icon[1], "•")}</span>'
