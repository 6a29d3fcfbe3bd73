"""The report while a run goes on: one page on loopback, fed from the ledger, with a button to stop gently."""

from pipeline.watch.feed import Feed, Now
from pipeline.watch.gate import new_token
from pipeline.watch.server import Bounds, Watching

__all__ = ["Bounds", "Feed", "Now", "Watching", "new_token"]
