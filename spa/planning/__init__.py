"""What the stages that are still to run will take: steps, tokens, hours, memory, disk, money."""

from spa.planning.cards import find_card
from spa.planning.elsewhere import Elsewhere
from spa.planning.figures import PipelinePlan, StagePlan
from spa.planning.plan import plan_pipeline

__all__ = ["Elsewhere", "PipelinePlan", "StagePlan", "find_card", "plan_pipeline"]
