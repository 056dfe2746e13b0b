"""Where every file of the pipeline lives. No other Python file spells a path under data/."""

from dataclasses import dataclass
from pathlib import Path

from spa.errors import ParamsError


@dataclass(frozen=True)
class Layout:
    """Paths of one pipeline, all below the folder that holds its dvc.yaml.

    A `round` is `"base"`, `"0"` (the human seed), `"1"`, `"2"` ... or `"rival"`.
    """

    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> "Layout":
        """The pipeline around `start` (default: where the command was called).

        Raises:
            ParamsError: no dvc.yaml here or in any folder above.
        """
        here = (start or Path.cwd()).resolve()
        for folder in [here, *here.parents]:
            if (folder / "dvc.yaml").is_file():
                return cls(folder)
        raise ParamsError(
            f"{here}: found no dvc.yaml here or in a folder above; wanted to be inside a "
            "pipeline; change to its folder, or make one: spa init FOLDER"
        )

    @classmethod
    def near(cls) -> "Layout":
        """The pipeline around the working directory, or the directory itself where there is none.

        For commands that need no pipeline but honour its compute.yaml.
        """
        try:
            return cls.find()
        except ParamsError:
            return cls(Path.cwd())

    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    @property
    def compute(self) -> Path:
        return self.root / "compute.yaml"

    @property
    def dvc_yaml(self) -> Path:
        return self.root / "dvc.yaml"

    @property
    def dvc_lock(self) -> Path:
        return self.root / "dvc.lock"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def raw(self) -> Path:
        return self.data / "raw"

    @property
    def pools(self) -> Path:
        return self.data / "pools"

    @property
    def code(self) -> Path:
        """Lists of the installed code that stages depend on, where the pipeline holds none."""
        return self.data / "code"

    def code_of(self, stage: str) -> Path:
        """The list of one stage, named without its round."""
        return self.code / f"{stage}.sha256"

    def pool(self, name: str | int) -> Path:
        """`seed`, `development`, `test`, `gold`, `hidden_gold`, or a round's number."""
        return self.pools / f"{name}.parquet"

    def earlier(self, round: str | int) -> Path:
        """The prompts of all rounds before this one in params.yaml, to find reuse."""
        return self.pools / f"before-{round}.parquet"

    @property
    def reference_outputs(self) -> Path:
        """The answers that test instructions come with, in AlpacaEval's format; may be none."""
        return self.pools / "reference_outputs.json"

    @property
    def flipped_seed(self) -> Path:
        """Ids of the seed pairs whose label `split.flip_seed_labels` turned round."""
        return self.pools / "flipped_seed.json"

    def round(self, round: str | int) -> Path:
        return self.data / ("base" if round == "base" else f"round-{round}")

    def policy(self, round: str | int) -> Path:
        """The model that round `round` ends with; `base` is the model all rounds start from."""
        return self.round(round) / "policy"

    def responses(self, round: str | int) -> Path:
        return self.round(round) / "responses.parquet"

    def scores(self, round: str | int) -> Path:
        return self.round(round) / "scores.parquet"

    def pairs(self, round: str | int) -> Path:
        return self.round(round) / "pairs.parquet"

    def kept(self, round: str | int) -> Path:
        return self.round(round) / "kept.parquet"

    def flagged(self, round: str | int) -> Path:
        """Pairs that a data check speaks against; `split` checks round 0, the seed, and `gold`."""
        if given := {"0": "seed", "gold": "gold"}.get(str(round)):
            return self.pools / f"flagged_{given}.parquet"
        return self.round(round) / "flagged.parquet"

    def checks(self, round: str | int) -> Path:
        return self.round(round) / "checks.json"

    def training_log(self, round: str | int) -> Path:
        return self.round(round) / "training_log.parquet"

    def evaluation(self, round: str | int) -> Path:
        return self.data / "evaluation" / str(round)

    def calibration(self, round: str | int) -> Path:
        return self.data / "calibration" / str(round)

    def digest(self, round: str | int) -> Path:
        """What the report shows of a round's pairs and training."""
        return self.calibration(round) / "digest.json"

    @property
    def docs(self) -> Path:
        """Great Expectations' pages on every round; not tracked, `spa docs` builds them."""
        return self.data / "docs"

    def manifest(self, stage: str) -> Path:
        """What a stage, named as in `dvc repro judge@2`, read, wrote and was asked."""
        return self.data / "manifests" / f"{stage}.json"

    def export(self, round: str | int) -> Path:
        """Where `spa export` writes a round; not tracked."""
        return self.data / "export" / f"round-{round}"

    @property
    def report(self) -> Path:
        return self.data / "report"

    @property
    def sweep(self) -> Path:
        """What `spa sweep` showed last; not tracked."""
        return self.report / "sweep.csv"

    @property
    def cache(self) -> Path:
        """Downloads and unfinished work; never tracked, safe to delete."""
        return self.root / ".cache"

    def unfinished(self, stage: str, round: str | int | None) -> Path:
        """What a stage has done before it ends; deleted when it succeeds."""
        return self.cache / "unfinished" / (stage if round is None else f"{stage}@{round}")

    def show(self, path: Path) -> str:
        """`path` as users know it: relative to the pipeline's folder."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)
