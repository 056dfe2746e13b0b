"""Tool `lock`: which code the pipeline's stages run."""

from typing import Annotated

import typer

Dag = Annotated[
    bool, typer.Option("--dag", help="Write dvc.yaml anew as well, as this version lays it out.")
]


def main(dag: Dag = False) -> None:
    """List the installed package's code in data/code; stages whose list changed run again.

    For pipelines that `spa init` laid out, after another version of spa was installed. Until
    then every stage refuses to run, as results of two versions would be mixed.
    """
    from spa.code_lock import write_code
    from spa.errors import ArtefactError
    from spa.files import replace_file
    from spa.layout import Layout
    from spa.scaffold import user_dag

    layout = Layout.find()
    if not layout.code.is_dir():
        raise ArtefactError(
            f"{layout.show(layout.code)}: not found; this pipeline's dvc.yaml names its code "
            "itself, and there is nothing to lock; `spa init` lays out one that has it"
        )
    changed = write_code(layout)
    print(f"lock: {', '.join(changed) if changed else 'nothing'} changed in data/code")
    wanted = user_dag(layout)
    if layout.dvc_yaml.read_text(encoding="utf-8") == wanted:
        return
    if not dag:
        print("lock: dvc.yaml is not this version's; `spa lock --dag` writes it anew")
        return
    with replace_file(layout.dvc_yaml) as temporary:
        temporary.write_text(wanted, encoding="utf-8")
    print("lock: wrote dvc.yaml")
