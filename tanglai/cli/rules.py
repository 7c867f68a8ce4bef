"""In charge of `tanglai rules`: which regulation this node follows, and from when another one."""

from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from tanglai.catalogue.documents_grant import SHANGHAI
from tanglai.catalogue.rules import rule_set as rules_of
from tanglai.catalogue.rules import rule_set_names
from tanglai.cli.platform import platform, run
from tanglai.cli.tables import show as show_table
from tanglai.server.settings import load
from tanglai.storage import rule_periods
from tanglai.storage.rule_periods import ContinueReport, Continuing, RuleSetPeriod, SwitchReport

app = typer.Typer(help="The regulation that a node follows.", no_args_is_help=True)

_DEFAULTS = Continuing()
By = Annotated[str, typer.Option(help="Who decides.")]
UsedDays = Annotated[int, typer.Option(min=0, help="Use of how many past days goes on.")]
ValidDays = Annotated[int, typer.Option(min=1, help="For how many days from the switch it goes on.")]


@app.command("show")
def show() -> None:
    """Shows the rule set that is in force on this node, those that there are, and every switch that was recorded."""
    zone, now, recorded = run(_shown())
    typer.echo(f"{now} is in force on the {zone.lower()}")
    known = Table("rule set", "regulation", "in force from", "unconditional items")
    for name in rule_set_names():
        rules = rules_of(name)
        taken = "taken directly" if rules.unconditional_is_direct else "on application"
        known.add_row(f"{name} {rules.version}", rules.title, str(rules.effective_from), taken)
    show_table(known)
    if recorded:
        periods = Table("from", "rule set", "by", "reason", "recorded")
        for period in recorded:
            periods.add_row(
                _moment(period.from_at), period.rule_set, period.by, period.reason, _moment(period.recorded_at)
            )
        show_table(periods)


@app.command("switch")
def switch(
    rule_set: Annotated[str, typer.Argument(help="The rule set that holds then.")],
    from_: Annotated[
        datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The day of Asia/Shanghai; today: from now on.")
    ],
    reason: Annotated[str, typer.Option(help="Why; kept with the switch.")],
    by: By = "operator",
    used_days: UsedDays = _DEFAULTS.used_days,
    valid_days: ValidDays = _DEFAULTS.valid_days,
) -> None:
    """Records that this node follows another rule set from a day on; deadlines that run keep theirs."""
    report = run(_switch(rule_set, from_, by, reason, Continuing(used_days, valid_days)))
    typer.echo(f"{report.period.rule_set} from {_moment(report.period.from_at)}")
    if report.continued is not None:
        _tell(report.continued)
        typer.echo("run `tanglai rules continue` on that day, for what is used until then")


@app.command("continue")
def continue_(
    by: By = "operator", used_days: UsedDays = _DEFAULTS.used_days, valid_days: ValidDays = _DEFAULTS.valid_days
) -> None:
    """Records grants of transition for unconditional use since the last switch was recorded; again changes nothing."""
    report = run(_continue(by, Continuing(used_days, valid_days)))
    if report is None:
        typer.echo("no recorded switch asks for an application where none was needed before")
        return
    _tell(report)


def _tell(report: ContinueReport) -> None:
    typer.echo(f"grants of transition: {len(report.added)} new, {len(report.widened)} widened, {report.kept} kept")
    for left in report.left_out:
        typer.echo(f"notice: {left.department} used {left.resource}, {left.why}: no grant", err=True)


def _moment(moment: datetime) -> str:
    return moment.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M")


async def _shown() -> tuple[str, str, tuple[RuleSetPeriod, ...]]:
    settings = load()
    async with platform(settings) as database, database.session() as connection:
        now = await rule_periods.in_force(connection, settings.zone, settings.rule_set)
        return settings.zone.value, now, await rule_periods.periods(connection, settings.zone)


async def _switch(to: str, day: datetime, by: str, reason: str, continuing: Continuing) -> SwitchReport:
    settings = load()
    async with platform(settings) as database:
        return await rule_periods.switch(
            database,
            settings.zone,
            to,
            day.date(),
            by=by,
            reason=reason,
            default=settings.rule_set,
            continuing=continuing,
        )


async def _continue(by: str, continuing: Continuing) -> ContinueReport | None:
    settings = load()
    async with platform(settings) as database:
        return await rule_periods.continue_use(
            database, settings.zone, by=by, default=settings.rule_set, continuing=continuing
        )
