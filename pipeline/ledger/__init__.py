"""The durable record of every step, and the only SQL."""

from pipeline.ledger.address import Address, Server, address_of, has_secret, is_server, redacted
from pipeline.ledger.book import Ledger
from pipeline.ledger.connection import sqlite_version
from pipeline.ledger.export import ExportFormat, export
from pipeline.ledger.lock import hold
from pipeline.ledger.opening import exists, migrate
from pipeline.ledger.pruning import Bounds, Pruned, prune
from pipeline.ledger.reading import SpendBy
from pipeline.ledger.records import (
    Admission,
    CapReached,
    Caps,
    Found,
    HeldForPerson,
    InOtherHands,
    Picture,
    Policy,
    Reservation,
    Run,
    Settlement,
    Share,
    Submitted,
    Tally,
    Trouble,
    Unfetched,
    Unplaced,
    Venue,
    Verdict,
)
from pipeline.ledger.repair import repair
from pipeline.ledger.runfile import BALLAST_BYTES
from pipeline.ledger.runs import RunNews
from pipeline.ledger.settling import settle
from pipeline.ledger.shown import (
    AgeBar,
    BudgetLine,
    MoneyLine,
    Progress,
    RunLine,
    Scope,
    Shown,
    Standing,
    StateCount,
    Survey,
)
from pipeline.ledger.states import AttemptMoney, JobState
from pipeline.ledger.stories import Story, StoryAttempt, StoryRow
from pipeline.ledger.verification import Finding, Verification
from pipeline.ledger.views import (
    COLUMNS,
    AttemptRecord,
    BatchName,
    BatchStatus,
    Known,
    Row,
    SpendLine,
)
from pipeline.ledger.writer import LedgerWriter

__all__ = [
    "BALLAST_BYTES",
    "COLUMNS",
    "Address",
    "Admission",
    "AgeBar",
    "AttemptMoney",
    "AttemptRecord",
    "BatchName",
    "BatchStatus",
    "Bounds",
    "BudgetLine",
    "CapReached",
    "Caps",
    "ExportFormat",
    "Finding",
    "Found",
    "HeldForPerson",
    "InOtherHands",
    "JobState",
    "Known",
    "Ledger",
    "LedgerWriter",
    "MoneyLine",
    "Picture",
    "Policy",
    "Progress",
    "Pruned",
    "Reservation",
    "Row",
    "Run",
    "RunLine",
    "RunNews",
    "Scope",
    "Server",
    "Settlement",
    "Share",
    "Shown",
    "SpendBy",
    "SpendLine",
    "Standing",
    "StateCount",
    "Story",
    "StoryAttempt",
    "StoryRow",
    "Submitted",
    "Survey",
    "Tally",
    "Trouble",
    "Unfetched",
    "Unplaced",
    "Venue",
    "Verdict",
    "Verification",
    "address_of",
    "exists",
    "export",
    "has_secret",
    "hold",
    "is_server",
    "migrate",
    "prune",
    "redacted",
    "repair",
    "settle",
    "sqlite_version",
]
