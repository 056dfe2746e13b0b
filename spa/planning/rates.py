"""How long work takes: a plan's tokens and answers times what each of them takes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil

from spa.planning.figures import StagePlan
from spa.planning.work import Work


@dataclass(frozen=True)
class Rates:
    """Seconds that work takes.

    Attributes:
        round: of one sampled token for a whole batch, whatever its size.
        row: of one sampled token, for each answer of the batch beside that.
        batch: answers sampled at once.
        read: of one token read.
        trained: of one token trained on.
        start: until a stage begins.
        light: of one token read in the precision of sampling; None is as long as `read`.
        processes: that sampling and reading are shared out between, each as fast.
        trainers: processes that train together.
    """

    round: float
    row: float
    batch: int
    read: float
    trained: float
    start: float
    light: float | None = None
    processes: int = 1
    trainers: int = 1

    def seconds(self, work: Work, *, most: bool = False) -> float:
        """How long a stage's work takes, its start included.

        A batch is sampled until its longest answer ends, which is taken to be cut; those that
        have ended leave it. Models that judge without a stage's sampling or training run in
        one process.
        """
        rounds = 0.0
        if work.answers:
            batches = ceil(work.answers / (self.batch * self.processes))
            rounds = batches * work.sampled.most / work.answers
        sampled, read, light, trained = (
            tokens.most if most else tokens.expected
            for tokens in (work.sampled, work.read, work.light, work.trained)
        )
        count = self.trainers if work.steps else self.processes
        sampling = rounds * self.round + sampled * self.row / self.processes
        reading = (read - light) * self.read / count
        seeing = light * (self.light or self.read)
        if work.steps or work.answers:
            seeing /= count
        training = trained * self.trained / self.trainers
        return self.start + sampling + reading + seeing + training

    def describe(self) -> str:
        """One line on the rates."""
        sampled = (self.round / self.batch + self.row) * 1e3
        return (
            f"a token takes {sampled:.3f} ms to sample in batches of {self.batch}, "
            f"{self.read * 1e3:.3f} to read, {self.trained * 1e3:.3f} to train on; a stage "
            f"{self.start:.1f} s to start"
        )


def timed(plans: Mapping[str, StagePlan], rates: Rates) -> dict[str, StagePlan]:
    """The plans with how long each stage takes."""
    return {
        name: replace(
            plan,
            seconds=rates.seconds(plan.work),
            seconds_at_most=rates.seconds(plan.work, most=True),
        )
        for name, plan in plans.items()
    }
