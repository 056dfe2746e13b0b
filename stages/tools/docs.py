"""Tool `docs`: the data contract of every round as pages to read."""

from stages._context import stage_context


def main() -> None:
    """Build Great Expectations' pages for every round that has pairs, under data/docs/.

    The pages work offline. Neither git nor DVC tracks them, as they contain times and ids.
    """
    from spa.checks.index import RoundPages, write_index
    from spa.checks.pages import write_pages
    from spa.errors import ArtefactError
    from spa.files import read_json
    from stages._checking import read_round

    with stage_context(tool=True) as here:
        layout = here.layout
        rounds = [name for name in here.params.rounds if layout.pairs(name).exists()]
    if not rounds:
        raise ArtefactError(
            f"{layout.show(layout.pairs(1))}: not found, nor any other round's; wanted pairs to "
            "make pages from; run `dvc repro`"
        )
    pages = []
    for name in rounds:
        with stage_context(int(name), tool=True) as here:
            records = read_round(here, int(name))
        suites = [records.pair_suite, *records.given, *records.others]
        found = write_pages(layout.docs / f"round-{name}", suites, title=f"round {name}")
        checked = read_json(layout.checks(name)) if layout.checks(name).exists() else {}
        pages.append(RoundPages(name, found, checked.get("gates", [])))
    write_index(layout.docs / "index.html", pages)
    print(f"docs: {layout.show(layout.docs / 'index.html')}, {len(rounds)} rounds")
