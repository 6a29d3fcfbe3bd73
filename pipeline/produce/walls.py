"""What is said of a budget that is reached."""

from pipeline.ledger import CapReached
from pipeline.money import format_usd


def out_of_budget(reached: CapReached) -> str:
    """Say which budget is reached, and how."""
    return (
        f"the budget of {reached.scope} is ${format_usd(reached.cap_microusd, places=2)},"
        f" ${format_usd(reached.committed_microusd)} of it is spent, unknown or reserved, and one more picture costs"
        f" ${format_usd(reached.price_microusd)}"
    )


def larger(reached: CapReached) -> str:
    """Say what it takes to buy on."""
    match reached.scope.split()[0]:
        case "day":
            return "a larger daily_usd in the manifest, or another day"
        case "month":
            return "a larger monthly_usd in the manifest, or another month"
        case "the":
            return "a larger total_usd in the manifest"
        case _:
            return "a larger budget_usd in the manifest, or --budget"
