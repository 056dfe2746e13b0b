"""dvc.lock as it is read without DVC."""

from pathlib import Path
from typing import Any

import pytest

from spa.dag import Tree, read_lock, read_stages
from spa.errors import ArtefactError, ParamsError
from spa.layout import Layout

ROOT = Path(__file__).parents[2]

LOCK = """schema: '2.0'
stages:
  base:
    cmd: spa base
    deps:
    - path: spa/sources.py
      hash: md5
      md5: 13303717181920212223242526272829
      size: 4660
    params:
      params.yaml:
        base.source: wheel:a==1
    outs:
    - path: data/base/policy
      hash: md5
      md5: 0a1b2c3d4e5f60718293a4b5c6d7e8f9.dir
      size: 540
      nfiles: 6
  split:
    cmd: spa split
"""


def _read(folder: Path, text: str) -> dict[str, dict[str, Any]]:
    layout = Layout(folder)
    layout.dvc_lock.write_text(text, encoding="utf-8")
    return read_lock(layout)


def test_a_whole_lock_is_read_as_dvc_reads_it(tmp_path: Path) -> None:
    stages = _read(tmp_path, LOCK)
    assert list(stages) == ["base", "split"]
    assert stages["base"]["params"] == {"params.yaml": {"base.source": "wheel:a==1"}}


def test_wherever_a_lock_is_cut_no_file_has_another_hash(tmp_path: Path) -> None:
    """It is refused, or what is left of it is as it was."""
    whole, left = _read(tmp_path, LOCK)["base"], []
    for place in range(len(LOCK)):
        try:
            left.append(_read(tmp_path, LOCK[:place]).get("base") or {})
        except ArtefactError:
            continue
    assert len(left) < len(LOCK) / 2
    for kind in ("deps", "outs"):
        found = [[file["md5"] for file in stage.get(kind) or []] for stage in left]
        assert all(md5s in ([], [file["md5"] for file in whole[kind]]) for md5s in found)


def test_a_cut_lock_says_what_to_do(tmp_path: Path) -> None:
    wanted = (
        r"cannot be read \(base, deps, spa/sources.py: md5 13303 is cut\); check it out from git"
    )
    with pytest.raises(ArtefactError, match=wanted):
        _read(tmp_path, LOCK[: LOCK.index("13303") + 5])


@pytest.mark.parametrize("text", ["", "stages: 5", "- a", "stages: {a: [1]}", "stages: {a: 3}"])
def test_what_is_no_lock_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ArtefactError, match="cannot be read"):
        _read(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        "stages: [a, b]", "stages: {a: {cmd: x, deps: 5}}", "stages: {a: 5}", "[1]",
        "stages: {a: {deps: [1]}}", "stages: {a: {cmd: x, deps: [{}]}}",
    ],
)  # fmt: skip
def test_a_dvc_yaml_of_another_shape_is_one_clear_error(tmp_path: Path, text: str) -> None:
    layout = Layout(tmp_path)
    layout.params.write_text("seed: 1\n")
    layout.dvc_yaml.write_text(text)
    with pytest.raises(ParamsError, match=r"dvc\.yaml: its stages are not as DVC has them"):
        read_stages(layout)


def test_a_dvcignore_that_is_not_utf8_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / ".dvcignore").write_bytes(b"# caf\xe9\n")
    with pytest.raises(ParamsError, match=r"\.dvcignore: is not UTF-8 .*; save it as UTF-8"):
        Tree(tmp_path)


@pytest.mark.parametrize("name", ["dvc.yaml", "dvc.lock", "params.yaml"])
def test_no_flipped_bit_of_what_says_the_order_is_more_than_one_line(
    tmp_path: Path, name: str
) -> None:
    """The file is read, or refused in one line; a hash that a bit changed is one DVC finds."""
    texts = {"dvc.yaml": (ROOT / "dvc.yaml").read_bytes(), "dvc.lock": LOCK.encode()}
    texts["params.yaml"] = (ROOT / "params.yaml").read_bytes()
    for file, data in texts.items():
        (tmp_path / file).write_bytes(data)
    data, layout, told = texts[name], Layout(tmp_path), list[str]()
    for place in range(0, len(data), max(1, len(data) // 25)):
        for bit in (1, 4, 128):
            flipped = data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]
            (tmp_path / name).write_bytes(flipped)
            try:
                read_lock(layout) if name == "dvc.lock" else read_stages(layout)
            except (ArtefactError, ParamsError) as error:
                told.append(str(error))
    assert len(told) > 20
    assert not any("\n" in one for one in told)
