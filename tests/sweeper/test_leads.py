"""Sweeps of some leads: they fire their own reminders and no others, and together nothing is lost or told twice."""

import asyncio
import json
import sys
from datetime import timedelta

import pytest

from taskbell.sweeper.command import main
from taskbell.sweeper.policy import Shard

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
def waiting(owner):
    """Reads the leads of the reminders that have not fired, the shortest first."""

    async def read():
        return [row[0] for row in await owner.fetch("SELECT lead FROM reminders ORDER BY lead")]

    return read


@pytest.mark.feature("K5", "P18")
async def test_a_sweep_of_a_lead_leaves_the_others(plan, run_sweep, waiting):
    """Only reminders of the given leads fire; a sweep without leads fires the rest."""
    for lead in (DAY, HOUR, MINUTE):
        await plan(lead=lead)
    assert (await run_sweep(leads=(HOUR,))).fired == 1
    assert await waiting() == [MINUTE, DAY]
    assert (await run_sweep(leads=(HOUR,))).fired == 0
    assert (await run_sweep(leads=(DAY, HOUR))).fired == 1
    assert (await run_sweep()).fired == 1
    assert await waiting() == []


@pytest.mark.feature("H10", "H12")
async def test_sweeps_of_overlapping_leads_tell_once(plan, fired, run_sweep):
    """Sweeps that share leads run at the same time: each reminder fires in one of them."""
    for lead in (DAY, HOUR):
        await plan(200, lead=lead)
    chosen = [(), (DAY,), (HOUR,), (DAY, HOUR), ()]
    reports = await asyncio.gather(*(run_sweep(leads=leads, batch_size=7) for leads in chosen))
    reports.append(await run_sweep())
    assert sum(report.fired for report in reports) == 400
    assert sum(report.repeated for report in reports) == 0
    told = await fired()
    assert len(told) == len(set(told)) == 400


async def test_leads_and_shards_cut_both_ways(plan, run_sweep, waiting):
    """The shards of a lead together fire all of this lead."""
    await plan(50, lead=DAY)
    await plan(3, lead=HOUR)
    reports = [await run_sweep(leads=(DAY,), shard=Shard(number, 3)) for number in range(3)]
    assert sum(report.fired for report in reports) == 50
    assert all(report.fired for report in reports)
    assert await waiting() == [HOUR] * 3


async def test_a_sweep_of_a_lead_fires_on_time(plan, run_sweep, waiting):
    """A sweep that stays waits for its own lead's reminders, whatever others come first."""
    await plan(lead=DAY, fires_in=timedelta(milliseconds=100))
    await plan(lead=HOUR, fires_in=timedelta(milliseconds=600))
    report = await run_sweep(leads=(HOUR,), stay=timedelta(seconds=2))
    assert report.fired == 1
    assert await waiting() == [DAY]


@pytest.mark.feature("P18")
async def test_the_report_tells_what_a_sweep_left(owner, plan, run_sweep):
    """`oldest_due` is the age of the oldest reminder of the sweep's own part that is still due at its end."""
    await plan(lead=DAY, fires_in=-timedelta(minutes=5))
    await plan(lead=HOUR)
    report = await run_sweep(leads=(HOUR,))
    assert (report.fired, report.oldest_due) == (1, 0.0)
    transaction = owner.transaction()
    await transaction.start()
    await owner.execute("SELECT FROM reminders FOR UPDATE")  # as another sweep that claims them and does not end
    report = await run_sweep()
    await transaction.rollback()
    assert report.fired == 0
    assert 300 <= report.oldest_due < 360
    assert (await run_sweep()).oldest_due == 0.0


@pytest.mark.feature("K5")
async def test_leads_and_reports_by_argument(database, plan, waiting, spawn, tmp_path):
    """`--lead` may be given several times, in any unit; `--report` writes the summary to a file."""
    for lead in (DAY, HOUR, MINUTE):
        await plan(lead=lead)
    report = tmp_path / "report"
    process = await spawn(
        database.sweeper_url, "--lead", "1440m", "--lead", "1m", "--lead", "60s", "--report", str(report)
    )
    assert await process.wait() == 0
    found = json.loads(report.read_text())
    assert (found["kind"], found["fired"], found["oldest_due"]) == ("due", 2, 0.0)
    assert await waiting() == [HOUR]


async def test_a_report_that_cannot_be_written_does_no_harm(database, plan, spawn, tmp_path):
    """The reminders have fired: the sweep succeeds, and says that nobody can read its report."""
    await plan()
    process = await spawn(database.sweeper_url, "--json", "--report", str(tmp_path / "missing" / "report"))
    output, errors = await process.communicate()
    assert (process.returncode, json.loads(output)["fired"]) == (0, 1)
    assert b"the report was not written" in errors


@pytest.mark.parametrize("text", ["", "1", "1d", "PT1H", "-1h", "1.5h", "1m1h", "8761h", "99999999999h", "h", "1h "])
def test_other_forms_of_a_lead_are_refused(monkeypatch, capsys, text):
    """Status 2, and a line that says how a lead is written."""
    monkeypatch.setattr(sys, "argv", ["taskbell-sweeper", f"--lead={text}"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "--lead" in capsys.readouterr().err
