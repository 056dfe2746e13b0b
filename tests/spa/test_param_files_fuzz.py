"""Whatever params.yaml says: settings, or one line that names keys; never a traceback."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spa.errors import ParamsError
from spa.param_files import load_compute, load_params

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
STARTER: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3),
    max_leaves=6,
)


def _paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    own = [(*prefix, key) for key in value] if isinstance(value, dict) else []
    return [p for path in own for p in (path, *_paths(_at(value, path[len(prefix) :]), path))]


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


PATHS = _paths(STARTER)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "params.yaml"


def _or_line(load: Callable[[Path], T], file: Path) -> T | str:
    """What a file says, or the one line that says why it cannot be used."""
    try:
        return load(file)
    except ParamsError as error:
        return str(error)


@settings(max_examples=50)
@given(path=st.sampled_from(PATHS), value=VALUES)
@example(path=("rounds",), value={1: {"prev": "0", "prompts": 4}})
@example(path=("rounds", "1"), value=None)
@example(path=("train", "beta"), value=float("nan"))
@example(path=("filter", "checks"), value=[])
@example(path=("evaluate", "annotator"), value=["llm", "llm"])
@example(path=("base",), value={"\n": None})
@example(path=("rounds",), value={"\n": {"prev": "1", "train": {"beta": -1, "\n": 0}}})
@example(path=("rounds",), value={"\n": {"train": {"noise_share": 0.1, "noise_window": 2}}})
def test_any_value_at_any_key(file: Path, path: tuple[Any, ...], value: Any) -> None:
    changed = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    _at(changed, path[:-1])[path[-1]] = value
    file.write_text(yaml.safe_dump(changed, allow_unicode=True), encoding="utf-8")
    found = _or_line(load_params, file)
    if isinstance(found, str):
        assert "\n" not in found
    else:
        for name in found.rounds:
            assert found.for_round(int(name)).seed == found.seed


@settings(max_examples=25)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace")))
@example(b"")
@example(b"- a\n- b\n")
@example(b"seed: &a [*a]\n")
@example(b"!!python/object/apply:os.getcwd []\n")
@example(b"{" * 900)
def test_any_bytes(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    found = _or_line(load_params, file)
    assert isinstance(found, str)
    assert "\n" not in found
    compute = _or_line(load_compute, file)
    assert not isinstance(compute, str) or "\n" not in compute
