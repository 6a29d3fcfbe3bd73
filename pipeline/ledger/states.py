"""The states of a job and of its money, and nothing else.

    planned --reserve (A)--> buying --answer (B)--> bought --store (C)--> stored
                               |  |                    |  |
                               |  | release (E)        |  | window closed (G) --> lost      (paid)
                               |  v                    |  bytes will not do (F) --> spoiled (paid)
                               |  failed (unbilled)
                               | answer lost (D)
                               v
                             unknown (counted as spent until a person decides)

While it is buying, the provider may have taken the task (K) without having made the picture yet. The attempt then says
``submitted_at`` and where to ask; its money stays reserved, whatever dies, until somebody has asked what came of it.

A release that leaves attempts to be made returns the job to where the attempt took it from. What a person (H), or a
look at the disk (I, J), does to what has ended:

    unknown --not billed (H)--> planned, or lost when an earlier attempt was paid
    unknown --billed (H)------> lost, accepted
    lost, spoiled --billed (H)--> the same, accepted
    lost, spoiled --money given back (H)--> planned
    stored --the file is gone (I)--> lost
    lost, unknown --the file is back (J)--> stored
"""

from enum import StrEnum


class JobState(StrEnum):
    """Where a job is in its life."""

    PLANNED = "planned"
    BUYING = "buying"
    BOUGHT = "bought"
    STORED = "stored"
    FAILED = "failed"
    UNKNOWN = "unknown"
    LOST = "lost"
    SPOILED = "spoiled"


class AttemptMoney(StrEnum):
    """What has become of the price of one attempt. Everything but RELEASED counts against the budgets."""

    RESERVED = "reserved"
    SPENT = "spent"
    UNKNOWN = "unknown"
    RELEASED = "released"
