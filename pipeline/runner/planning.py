"""The plan of a run, and the cap it sets when nobody has set one."""

from dataclasses import replace
from functools import partial

from pipeline.errors import DeclinedError
from pipeline.inputs import Finder, Patience, Store
from pipeline.ledger import Ledger, exists
from pipeline.manifest import Manifest
from pipeline.plan import Plan, make_plan
from pipeline.report.events import EventName, Notice
from pipeline.runner.options import RunOptions
from pipeline.runner.stop import in_thread, unless_stopped


def finder_of(manifest: Manifest, options: RunOptions) -> Finder:
    """What looks at the manifest's input images: URLs are fetched into the output folder's store."""
    hosts = dict.fromkeys(host for profile in manifest.profiles for host in profile.allow_hosts)

    def tell(message: str) -> None:
        options.notice(Notice.of(EventName.INPUT_AWAITED, message))

    return Finder(Store(options.output), tuple(hosts), Patience(tell=tell))


def plan_of(manifest: Manifest, options: RunOptions, finder: Finder | None = None) -> Plan:
    """What a run with these options would buy and cost. Blocks: it reads every row, and looks at every input.

    Args:
        finder: What has looked at inputs already, if anything has.

    Raises:
        LedgerCorruptError: The ledger is damaged, not a ledger, or of another version.
    """
    if finder is None:
        with finder_of(manifest, options) as own:
            return plan_of(manifest, options, own)
    make = partial(
        make_plan,
        manifest,
        finder=finder,
        policy=options.policy_of(manifest),
        budget_microusd=options.budget_of(manifest),
        concurrency=options.concurrency_of(manifest),
        limit=options.limit,
        resends_microusd=options.caps_of(manifest).resend or 0,
    )
    if not exists(options.ledger_path):
        return make(None)
    with Ledger(options.ledger_path) as ledger:
        return make(ledger)


async def bounded(manifest: Manifest, options: RunOptions, finder: Finder | None = None) -> RunOptions:
    """The options with a cap: where neither manifest nor options set any, the plan's worst case is the budget.

    Raises:
        DeclinedError: Somebody was asked whether to spend that much, and said no.
        StoppedError: Somebody asked to stop meanwhile.
    """
    if options.caps_of(manifest).bounds_spending:
        return options
    plan = await unless_stopped(options.stop, in_thread(plan_of, manifest, options, finder))
    asked = options.confirm if plan.to_buy and not manifest.profile.simulated else None
    if asked is not None and not await unless_stopped(options.stop, partial(asked, plan)):
        raise DeclinedError("nothing was bought, as you wished")
    return replace(options, budget_microusd=plan.committed_microusd + plan.worst_case_microusd)
