"""Tool `lock`: which code the pipeline's stages run."""

from typing import Annotated

import typer

Dag = Annotated[bool, typer.Option("--dag", help="Also rewrite dvc.yaml as this version has it.")]


def main(dag: Dag = False) -> None:
    """Record the installed package's code in data/code; stages whose code changed run again.

    For pipelines made by `spa init`, after you install another version of spa. Until then every
    stage refuses to run, as results of two versions would be mixed.
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
            "itself, so there is nothing to lock; `spa init` creates a pipeline that has it"
        )
    changed = write_code(layout)
    print(f"lock: {', '.join(changed) if changed else 'nothing'} changed in data/code")
    wanted = user_dag(layout)
    if layout.dvc_yaml.read_text(encoding="utf-8") == wanted:
        return
    if not dag:
        print("lock: dvc.yaml is not this version's; `spa lock --dag` rewrites it")
        return
    with replace_file(layout.dvc_yaml) as temporary:
        temporary.write_text(wanted, encoding="utf-8")
    print("lock: wrote dvc.yaml")
