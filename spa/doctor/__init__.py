"""What is wrong before hours are spent: all faults at once, each with its key or file."""

from spa.doctor.examination import examine
from spa.doctor.finding import Finding

__all__ = ["Finding", "examine"]
