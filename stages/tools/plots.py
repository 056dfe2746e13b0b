"""Tool `plots`: let `dvc plots` work without a network."""


def main() -> None:
    """Make the page on which `dvc plots show` and `dvc plots diff` draw without a network.

    Written to .dvc/tmp and named in .dvc/config.local, both of this machine and not in git;
    `make install` does it.
    """
    from spa.layout import Layout
    from spa.offline_plots import write_plots_page

    layout = Layout.find()
    page = write_plots_page(layout)
    print(f"plots: `dvc plots show` and `dvc plots diff` now use {layout.show(page)}")
