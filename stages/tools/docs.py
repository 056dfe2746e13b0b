"""Tool `docs`: the data contract of every round as pages to read."""

from stages._context import stage_context


def main() -> None:
    """Build Great Expectations' pages of every round that has pairs, under data/docs/.

    They need no network. They carry clocks and ids, so that neither git nor DVC tracks them.
    """
    from spa.checks.pages import write_pages
    from spa.errors import ArtefactError
    from stages._checking import read_round

    with stage_context() as here:
        rounds = [name for name in here.params.rounds if here.layout.pairs(name).exists()]
        if not rounds:
            raise ArtefactError(
                f"{here.layout.show(here.layout.pairs(1))}: not found, nor of any other round; "
                "wanted pairs to make pages of; run `dvc repro`"
            )
    for name in rounds:
        with stage_context(int(name)) as here:
            records = read_round(here, int(name))
            suites = [records.pair_suite, *records.others]
            page = write_pages(here.layout.docs / f"round-{name}", suites, title=f"round {name}")
            print(f"docs: {here.layout.show(page)}")
