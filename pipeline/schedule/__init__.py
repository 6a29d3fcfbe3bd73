"""Runs that start by themselves: a crontab line, or a systemd service and timer. Starts nothing, buys nothing."""

from pipeline.schedule.crontab_file import Crontab, cron_line
from pipeline.schedule.entry import Entry, default_env_file
from pipeline.schedule.units import Units, units_of

__all__ = ["Crontab", "Entry", "Units", "cron_line", "default_env_file", "units_of"]
