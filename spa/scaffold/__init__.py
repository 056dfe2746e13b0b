"""A pipeline in a user's own repository, where spa is an installed package."""

from spa.scaffold.dag import shipped_dag, user_dag
from spa.scaffold.pipeline import Scaffold, lay_out

__all__ = ["Scaffold", "lay_out", "shipped_dag", "user_dag"]
