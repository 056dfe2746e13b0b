"""Commands that pages and examples tell are there, with the options that they name."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.docs.commands import check_command, commands

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
SLURM = ROOT / "examples" / "slurm.sh"
CONTAINER = (ROOT / "Containerfile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_are_there(page: Path) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    for words in commands("\n".join(blocks)):
        check_command(words)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("spa judge --rund 2", "--rund"),
        ("spa jugde --round 2", "jugde"),
        ("dvc exp run --quiue", "--quiue"),
    ],
)
def test_a_wrong_command_is_found(wrong: str, said: str) -> None:
    [words] = commands(wrong)
    with pytest.raises(Exception, match=said):
        check_command(words)


def test_the_slurm_script_is_a_script_whose_commands_are_there() -> None:
    text = SLURM.read_text(encoding="utf-8")
    subprocess.run(["bash", "-n", str(SLURM)], check=True)
    found = commands(text)
    assert [" ".join(words[:2]) for words in found] == ["spa doctor", "spa plan", "dvc repro"]
    for words in found:
        check_command(words)
    options = re.findall(r"^#SBATCH (--[\w-]+)(?:=(\S+))?$", text, re.MULTILINE)
    assert len(options) == text.count("#SBATCH")
    assert len({name for name, _ in options}) == len(options)


def test_the_container_copies_what_there_is_and_installs_an_extra_that_there_is() -> None:
    for line in re.findall(r"^COPY (.+) \S+$", CONTAINER, re.MULTILINE):
        assert all((ROOT / name).exists() for name in line.split())
    wanted = {PROJECT["readme"], *PROJECT["license-files"], "spa", "stages", "pyproject.toml"}
    assert wanted <= set(CONTAINER.split())
    [extra] = re.findall(r"'/opt/spa\[(\w+)\]'", CONTAINER)
    assert extra in PROJECT["optional-dependencies"]
    [version] = re.findall(r"^FROM python:3\.(\d+)", CONTAINER, re.MULTILINE)
    assert PROJECT["requires-python"] == f">=3.{version}"
