"""Whether a line of a shell is a command that there is, with options that it has."""

import re
import shlex
from importlib import import_module

import typer
from dvc.cli.parser import get_main_parser

from stages._app import STAGES

_DVC = get_main_parser()


def commands(script: str) -> list[list[str]]:
    """Calls of spa and dvc in a script, one list of words each."""
    joined = script.replace("\\\n", " ")
    lines = (re.split(r" &$| [|>]+ ", line)[0] for line in joined.splitlines())
    words = (shlex.split(line, comments=True) for line in lines if re.match(r"\s*(spa|dvc) ", line))
    return [found for found in words if found]


def check_command(words: list[str]) -> None:
    """Parse a call as the program itself does, without running it.

    Raises:
        Exception: there is no such command, or it has no such option.
    """
    program, *arguments = words
    if program == "dvc":
        assert _parses(arguments), shlex.join(words)
        return
    if arguments == ["--help"]:
        return
    name, *rest = arguments
    module = import_module(f"stages.{name}" if name in STAGES else f"stages.tools.{name}")
    app = typer.Typer()
    app.command(name)(module.main)
    typer.main.get_command(app).make_context(name, rest)


def _parses(arguments: list[str]) -> bool:
    try:
        _DVC.parse_args(arguments)
    except SystemExit as stop:
        return stop.code == 0
    except Exception:  # of DVC's own parser
        return False
    return True
