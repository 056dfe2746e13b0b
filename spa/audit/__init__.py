"""The audit of a finished pipeline: is every file and row as it was made?"""

from spa.audit.pipeline import Audit, audit, audit_rows

__all__ = ["Audit", "audit", "audit_rows"]
