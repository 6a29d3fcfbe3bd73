"""The pace of buying: the provider's hidden limits, found and stayed at."""

from pipeline.produce.pace.lane import Lane
from pipeline.produce.pace.lanes import Lanes
from pipeline.produce.pace.lesson import Lesson
from pipeline.produce.pace.retries import LONGEST_BACK_OFF_S, PASSING_COST, THROTTLED_COST, RetryQuota, back_off_s
from pipeline.produce.pace.start import Start

__all__ = [
    "LONGEST_BACK_OFF_S",
    "PASSING_COST",
    "THROTTLED_COST",
    "Lane",
    "Lanes",
    "Lesson",
    "RetryQuota",
    "Start",
    "back_off_s",
]
