"""The figures of a plan: of one stage, and of all that are still to run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from spa.planning.work import Work


@dataclass(frozen=True)
class StagePlan:
    """What one stage takes; None is not known.

    Attributes:
        name: as `dvc repro` knows it.
        to_run: whether DVC would run it.
        work: steps, answers, tokens and calls.
        memory: peak bytes on the device that computes.
        disk: bytes of the models that it writes; rows are small beside them.
        scratch: bytes of its checkpoints while it runs.
        seconds, seconds_at_most: by the probe.
        usd, usd_at_most: what its calls cost.
    """

    name: str
    to_run: bool
    work: Work = field(default_factory=Work)
    memory: int | None = None
    disk: int | None = None
    scratch: int | None = None
    seconds: float | None = None
    seconds_at_most: float | None = None
    usd: float | None = 0.0
    usd_at_most: float | None = 0.0


@dataclass(frozen=True)
class PipelinePlan:
    """The plan of all stages, in dvc.yaml's order; `notes` say what the figures rest on."""

    stages: list[StagePlan]
    notes: list[str]

    @property
    def to_run(self) -> list[StagePlan]:
        """The stages that DVC would run."""
        return [stage for stage in self.stages if stage.to_run]

    @property
    def disk(self) -> int | None:
        """Bytes that must be free: all models still to come, and the largest checkpoints."""
        written = total(stage.disk for stage in self.to_run)
        scratch = [stage.scratch for stage in self.to_run]
        known = [size for size in scratch if size is not None]
        return None if written is None or len(known) < len(scratch) else int(written) + _top(known)

    @property
    def memory(self) -> int | None:
        """Peak bytes of the hungriest stage still to run."""
        needs = [stage.memory for stage in self.to_run]
        known = [need for need in needs if need is not None]
        return _top(known) if len(known) == len(needs) else None


def _top(values: Sequence[int]) -> int:
    return max(values, default=0)


def total(values: Iterable[float | None]) -> float | None:
    """The sum, None where one is not known."""
    found = list(values)
    known = [value for value in found if value is not None]
    return sum(known) if len(known) == len(found) else None
