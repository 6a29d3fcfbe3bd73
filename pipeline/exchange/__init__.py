"""Other programs' lists become manifests, and manifests other programs' lists. Buys nothing, asks no network."""

from pipeline.exchange.batches import export_batch, import_batch
from pipeline.exchange.pairs import import_pairs
from pipeline.exchange.tables import import_table
from pipeline.exchange.writing import Wanted

__all__ = ["Wanted", "export_batch", "import_batch", "import_pairs", "import_table"]
