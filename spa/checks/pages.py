"""Great Expectations' Data Docs of a round, mended to be read without a network.

Its pages ask content delivery networks for their styles and scripts. Bootstrap, jQuery and the
icons are copied from the installed package bootstrap-flask instead; what is left (tables that
sort, charts) is taken out, as no page here has any. Pages carry clocks and ids.
"""

import re
import shutil
from collections.abc import Sequence
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
_ICON = re.compile(r'<i class="[^"]*\bfa[srb]? fa-([a-z-]+)[^"]*"[^>]*>\s*</i>')


def write_pages(folder: Path, suites: Sequence[Suite], *, title: str) -> Path:
    """Validate suites and write the pages of the results; returns the first page.

    Args:
        folder: becomes the site, in place of what lies there.
        suites: measures and rules; those without rows are left out.
        title: the run's name on the pages.
    """
    with replace_folder(folder) as site:
        _build(site, [suite for suite in suites if len(suite.frame)], title)
        _copy_assets(site / "static" / "offline")
        for page in site.rglob("*.html"):
            depth = len(page.relative_to(site).parts) - 1
            text = page.read_text(encoding="utf-8")
            page.write_text(_offline(text, "../" * depth), encoding="utf-8")
    return folder / "index.html"


def _build(site: Path, suites: Sequence[Suite], title: str) -> None:
    context = quiet_context()
    context.add_data_docs_site(
        "site",
        {
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "store_backend": {
                "class_name": "TupleFilesystemStoreBackend",
                "base_directory": str(site),
            },
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        },
    )
    source = context.data_sources.add_pandas("round")
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
        context.checkpoints.add(checkpoint).run(
            batch_parameters={"dataframe": suite.frame}, run_id=RunIdentifier(run_name=title)
        )


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
    return page.replace("<head>", f"<head>{own}", 1)


def _sign(icon: re.Match[str]) -> str:
    """A character in place of an icon of a font that is not here."""
    signs = {"check-circle": "✔", "times": "✘", "exclamation-triangle": "⚠"}
    return f'<span class="mr-1">{signs.get(icon[1], "•")}</span>'
