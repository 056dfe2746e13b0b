"""Files: whole or not at all, never in place, clear errors."""

import errno
import os
import subprocess
from pathlib import Path

import pytest

from spa.errors import ArtefactError
from spa.files import read_json, replace_file, replace_folder, write_json


def test_a_file_is_replaced_and_never_written_in_place(tmp_path: Path) -> None:
    """A hard link to the old file, as DVC's cache has one, keeps the old content."""
    path, link = tmp_path / "a.json", tmp_path / "link"
    write_json(path, {"a": 1})
    os.link(path, link)
    write_json(path, {"a": 2})
    assert (read_json(path), read_json(link)) == ({"a": 2}, {"a": 1})


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, 1)

    def fail() -> None:
        with replace_file(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail()
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert read_json(path) == 1


def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "policy"
    with replace_folder(place) as folder:
        (folder / "weights").write_text("old")
    replace = os.replace

    def refuse(source: Path, target: Path) -> None:
        if target == place and (source / "weights").read_text() == "new":
            raise OSError(errno.EIO, "broken")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="broken"), replace_folder(place) as folder:
        (folder / "weights").write_text("new")
    assert (place / "weights").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["policy"]


def test_a_folder_whose_place_a_kill_left_empty_is_put_back(tmp_path: Path) -> None:
    """Killed between the two renames: the old folder lies aside, the new one is not there yet."""
    nobody = subprocess.Popen(["true"])
    nobody.wait()
    for name, text in (
        (f".policy.aside.{nobody.pid}.tmp", "old"),
        (f".policy.{nobody.pid}.tmp", ""),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights").write_text(text)
    with pytest.raises(ValueError, match="no new one"), replace_folder(tmp_path / "policy"):
        raise ValueError("no new one")
    assert (tmp_path / "policy" / "weights").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["policy"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for name in ("old", "new"):
        with replace_folder(folder) as temporary:
            (temporary / name).write_text(name)
    assert [p.name for p in folder.iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ArtefactError, match=r"cannot be written \(Not a directory\).*writable"):
        write_json(tmp_path / "file" / "folder" / "new.json", {})


def test_what_is_read_for_a_file_keeps_its_own_error(tmp_path: Path) -> None:
    denied = PermissionError(errno.EACCES, "Permission denied", "/somewhere/else")
    with pytest.raises(PermissionError), replace_file(tmp_path / "new.json"):
        raise denied
    own = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / ".new.json.1.tmp"))
    with pytest.raises(ArtefactError, match="Permission denied"):
        with replace_file(tmp_path / "new.json"):
            raise own


def test_a_number_that_json_cannot_hold_is_named_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "pairs.json"
    rows = [{"judge": 1.0}, {"judge": 2.0, "own": [0.5, float("nan")]}]
    said = r"pairs\.json: row 2, own, row 2: found nan; wanted finite numbers"
    with pytest.raises(ArtefactError, match=said):
        write_json(file, rows)
    assert not file.exists()


def test_what_is_no_json_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ArtefactError, match="is not JSON"):
        read_json(tmp_path / "a.json")
