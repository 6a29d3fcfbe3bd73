"""A provider for trying and testing: real HTTP, real pictures, expiring links, limits, faults, an account."""

from pipeline.simulator.account import Bill, Charge
from pipeline.simulator.faults import FAULTS, Fault
from pipeline.simulator.server import Simulator
from pipeline.simulator.settings import SimulatorSettings

__all__ = ["FAULTS", "Bill", "Charge", "Fault", "Simulator", "SimulatorSettings"]
