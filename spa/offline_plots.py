"""The page that `dvc plots` puts its plots on, with the libraries that draw them inside.

DVC's own page fetches Vega from a network each time it is opened.
"""

from pathlib import Path

from spa.errors import ArtefactError
from spa.files import replace_file
from spa.layout import Layout

VEGA_LITE = "5.21"
"""The newest of the major version that DVC's templates are written in."""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>DVC plots</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 24px; display: flex; flex-wrap: wrap;
  gap: 32px; }}
table {{ border-spacing: 15px; }}
</style>
<script>
{vega}
</script>
</head>
<body>
{{plot_divs}}
</body>
</html>
"""
"""`{plot_divs}` is DVC's placeholder; without its `{scripts}` nothing is fetched."""


def write_plots_page(layout: Layout) -> Path:
    """Write the page where git ignores it, and name it in DVC's settings of this machine.

    Returns:
        The page.

    Raises:
        ArtefactError: the pipeline lies in no DVC repository.
    """
    import vl_convert
    from dvc.config import Config
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        dvc = Path(Repo.find_dvc_dir(str(layout.root)))
    except NotDvcRepoError as error:
        raise ArtefactError(
            f"{layout.root}: found no DVC repository here or above; run `dvc init`"
        ) from error
    page = dvc / "tmp" / "plots.html"
    vega = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE)
    with replace_file(page) as file:
        file.write_text(PAGE.format(vega=vega), encoding="utf-8")
    with Config(dvc_dir=str(dvc)).edit("local") as settings:
        settings.setdefault("plots", {})["html_template"] = page.relative_to(dvc).as_posix()
    return page
