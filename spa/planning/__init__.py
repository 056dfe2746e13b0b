"""What the stages that are still to run will take: steps, tokens, hours, memory, disk, money."""

from spa.planning.figures import PipelinePlan, StagePlan
from spa.planning.plan import plan_pipeline

__all__ = ["PipelinePlan", "StagePlan", "plan_pipeline"]
