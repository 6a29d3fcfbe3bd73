"""The download side: the deadline queue, the workers, proof of a picture, keeping the file, and back-pressure."""

from pipeline.deliver.backlog import Backlog
from pipeline.deliver.caption import Caption
from pipeline.deliver.courier import Courier
from pipeline.deliver.crew import Crew
from pipeline.deliver.deadline_queue import DeliveryQueue
from pipeline.deliver.disk import Disk
from pipeline.deliver.fetch import Transport
from pipeline.deliver.limits import Limits
from pipeline.deliver.placing import FLOOR_BYTES, keep_inline, place, prepare_output, taken
from pipeline.deliver.pool import run_pool
from pipeline.deliver.proof import Proof, UnprovenError, prove
from pipeline.deliver.purchase import (
    INLINE,
    DeliveryEvent,
    EventKind,
    Outcome,
    Purchase,
    Record,
    StoredPicture,
    Verdict,
)
from pipeline.deliver.room import Room
from pipeline.deliver.stores import BucketStore, FolderStore, Store
from pipeline.picture import PictureFormat

__all__ = [
    "FLOOR_BYTES",
    "INLINE",
    "Backlog",
    "BucketStore",
    "Caption",
    "Courier",
    "Crew",
    "DeliveryEvent",
    "DeliveryQueue",
    "Disk",
    "EventKind",
    "FolderStore",
    "Limits",
    "Outcome",
    "PictureFormat",
    "Proof",
    "Purchase",
    "Record",
    "Room",
    "Store",
    "StoredPicture",
    "Transport",
    "UnprovenError",
    "Verdict",
    "keep_inline",
    "place",
    "prepare_output",
    "prove",
    "run_pool",
    "taken",
]
