"""The durable record of every step, and the only SQL."""

from pipeline.ledger.book import Ledger
from pipeline.ledger.export import ExportFormat, export
from pipeline.ledger.lock import hold
from pipeline.ledger.reading import SpendBy
from pipeline.ledger.records import (
    Admission,
    CapReached,
    Caps,
    HeldForPerson,
    InOtherHands,
    Picture,
    Policy,
    Reservation,
    Run,
    Settlement,
    Tally,
    Trouble,
    Unfetched,
    Unplaced,
    Verdict,
)
from pipeline.ledger.repair import repair
from pipeline.ledger.settling import settle
from pipeline.ledger.states import AttemptMoney, JobState
from pipeline.ledger.verification import Finding, Verification
from pipeline.ledger.views import (
    COLUMNS,
    AgeBar,
    AttemptRecord,
    BatchName,
    BatchStatus,
    BudgetLine,
    Known,
    MoneyLine,
    Progress,
    Row,
    RunLine,
    Scope,
    Shown,
    SpendLine,
    StateCount,
    Survey,
)
from pipeline.ledger.writer import LedgerWriter

__all__ = [
    "COLUMNS",
    "Admission",
    "AgeBar",
    "AttemptMoney",
    "AttemptRecord",
    "BatchName",
    "BatchStatus",
    "BudgetLine",
    "CapReached",
    "Caps",
    "ExportFormat",
    "Finding",
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
    "Reservation",
    "Row",
    "Run",
    "RunLine",
    "Scope",
    "Settlement",
    "Shown",
    "SpendBy",
    "SpendLine",
    "StateCount",
    "Survey",
    "Tally",
    "Trouble",
    "Unfetched",
    "Unplaced",
    "Verdict",
    "Verification",
    "export",
    "hold",
    "repair",
    "settle",
]
