"""Tool `plots`: let `dvc plots` work without a network."""


def main() -> None:
    """Make the page that `dvc plots show` and `dvc plots diff` need to draw offline.

    It is written to .dvc/tmp and named in .dvc/config.local; both stay on this machine, out of
    git. `make install` does this.
    """
    from spa.layout import Layout
    from spa.offline_plots import write_plots_page

    layout = Layout.find()
    page = write_plots_page(layout)
    print(f"plots: `dvc plots show` and `dvc plots diff` now use {layout.show(page)}")
