"""A round as a bundle for publication: model, pairs, figures, cards and their hashes."""

from spa.export.bundle import Exported, export_round

__all__ = ["Exported", "export_round"]
