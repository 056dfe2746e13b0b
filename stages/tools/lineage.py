"""Tool `lineage`: where a pair or prompt came from, and where it went."""

from typing import Annotated, Any

import typer

PairId = Annotated[
    str | None, typer.Argument(metavar="PAIR_ID", help="A pair's id, or the beginning of it.")
]
PromptId = Annotated[
    str | None,
    typer.Option("--prompt", metavar="ID", help="Follow a prompt to everything it reached."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def main(pair: PairId = None, prompt: PromptId = None, as_json: Json = False) -> None:
    """Trace a pair from its raw row to the policy it trained, or all that a prompt reached.

    With --json, the output alone is enough to recompute a pair's reward: messages, token ids, and
    the folders and hashes of the models. For a prompt, it lists the stages to rerun if the prompt
    is withdrawn.
    """
    if (pair is None) == (prompt is None):
        raise typer.BadParameter("give either PAIR_ID or --prompt ID")
    import json

    from spa.layout import Layout
    from spa.lineage import pair_lineage
    from spa.param_files import load_params
    from spa.withdrawal import prompt_lineage

    layout = Layout.find()
    params = load_params(layout.params)
    if pair is not None:
        found, name = pair_lineage(layout, params, pair), f"pair {pair}"
    else:
        found, name = prompt_lineage(layout, params, str(prompt)), f"prompt {prompt}"
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        _show(found, name)


def _show(found: dict[str, Any], name: str) -> None:
    """A tree: coloured on a terminal, plain text elsewhere."""
    import sys

    from rich.console import Console
    from rich.tree import Tree

    terminal = sys.stdout.isatty()
    console = Console(highlight=False, width=None if terminal else 10_000)
    tree = Tree(str(found.get("pair_id") or found.get("prompt_id") or name))
    _grow(tree, {k: v for k, v in found.items() if k not in ("schema_version", "pair_id")})
    console.print(tree, soft_wrap=not terminal)


def _grow(tree: Any, value: Any) -> None:
    from rich.text import Text

    for key, own in value.items() if isinstance(value, dict) else enumerate(value):
        label = Text(str(key), style="bold")
        if isinstance(own, list) and all(not isinstance(v, dict | list) for v in own):
            own = ", ".join(map(str, own[:12])) + (f" ... ({len(own)})" if len(own) > 12 else "")
        if isinstance(own, dict | list) and own:
            _grow(tree.add(label), own)
        elif own not in (None, "", [], {}):
            tree.add(label.append(Text(f"  {_plain(own)}", style="not bold")))


def _plain(value: Any) -> str:
    """One line: what models wrote may hold control characters and line breaks."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return "".join(c if c.isprintable() else " " for c in text)
