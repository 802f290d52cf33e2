import asyncio
import os
import signal
import subprocess
import sys
import textwrap

import psutil
import pytest

from taskbell.local.embedded.process import ServerNotStarted, launched
from taskbell.local.supervisor.component import Component, ComponentGaveUp, Phase
from taskbell.local.supervisor.policy import RestartPolicy
from taskbell.local.supervisor.supervisor import Supervisor
from taskbell.testing.waiting import eventually, until

FOREVER = "import time; time.sleep(600)"


@pytest.fixture
def component(tmp_path):
    """Make a component from a line of Python."""

    def make(name, code=FOREVER, **more):
        command = tuple(launched([sys.executable, "-I", "-S", "-c", code]))
        return Component(name=name, command=command, log=tmp_path / f"{name}.log", env=dict(os.environ), **more)

    return make


@pytest.fixture
async def supervisor():
    """A supervisor that leaves nothing behind and gives up soon."""
    made = Supervisor(policy=RestartPolicy(failures_allowed=3))
    yield made
    made.kill()
    await made.stop()


async def test_a_killed_part_is_started_again(supervisor, component):
    """After SIGKILL the part runs with another process id, and the restart is counted."""
    await supervisor.start([component("part")])
    state = supervisor.states["part"]
    first = state.pid
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: state.phase is Phase.READY and state.pid != first)
    assert (state.restarts, state.reason) == (1, "ended by SIGKILL")


async def test_a_part_that_cannot_stay_up_ends_the_start_with_one_line(supervisor, component):
    """The line names the part, its last words and its log."""

    async def is_ready():
        return False

    broken = component("broken", "raise SystemExit('no such folder')", is_ready=is_ready)
    with pytest.raises(ComponentGaveUp) as told:
        await supervisor.start([component("well"), broken])
    assert str(told.value) == (
        f"broken cannot be kept running: exit status 1, last words: no such folder (log: {broken.log})"
    )
    assert supervisor.states["well"].phase is Phase.READY


async def test_a_later_failure_ends_the_wait(supervisor, component, tmp_path):
    """A part that was ready and then cannot come back is reported too."""
    flag = tmp_path / "broken"
    part = component("part", f"import os, time; assert not os.path.exists({str(flag)!r}); time.sleep(600)")
    await supervisor.start([part])
    flag.touch()
    os.kill(supervisor.states["part"].pid, signal.SIGTERM)
    with pytest.raises(ComponentGaveUp, match="part cannot be kept running"):
        await supervisor.wait()


async def test_start_returns_when_all_are_ready(supervisor, component, tmp_path):
    """Readiness is asked for until it is given."""

    async def is_ready():
        return (tmp_path / "flag").exists()

    code = f"import time; time.sleep(0.2); open({str(tmp_path / 'flag')!r}, 'w'); time.sleep(600)"
    await supervisor.start([component("slow", code, is_ready=is_ready)])
    assert (tmp_path / "flag").exists()
    assert supervisor.states["slow"].phase is Phase.READY


async def test_a_part_that_never_gets_ready_is_given_up(supervisor, component):
    """A deadline limits the waiting, and the reason names it."""

    async def is_ready():
        return False

    with pytest.raises(ComponentGaveUp, match=r"not ready within 0\.1 s"):
        await supervisor.start([component("deaf", is_ready=is_ready, ready_within=0.1)])


async def test_parts_stop_in_order_and_the_deaf_are_killed(component, tmp_path):
    """The later stage is gone before the earlier one is asked; a part that ignores the signal is killed."""
    order = tmp_path / "order"
    code = textwrap.dedent("""
        import signal, sys, time
        def end(*_):
            open({order!r}, "a").write({name!r} + " ")
            sys.exit(0)
        signal.signal(signal.SIGTERM, end)
        open({name!r}, "w")
        while True: time.sleep(0.01)
    """)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({name!r}, 'w'); time.sleep(600)"

    def part(name, text, **more):
        flag = tmp_path / name

        async def is_ready():
            return flag.exists()

        return component(name, text.format(order=str(order), name=str(flag)), is_ready=is_ready, **more)

    supervisor = Supervisor()
    parts = [part("first", code, stage=1), part("last", code, stage=2), part("deaf", deaf, stage=3, stop_within=0.3)]
    await supervisor.start(parts)
    pids = [state.pid for state in supervisor.states.values()]
    await supervisor.stop()
    assert [os.path.basename(name) for name in order.read_text().split()] == ["last", "first"]  # noqa: PTH119 -- text
    assert {state.phase for state in supervisor.states.values()} == {Phase.STOPPED}
    assert not any(psutil.pid_exists(pid) for pid in pids)


async def test_a_part_between_two_lives_stops_at_once(component):
    """Stopping does not wait for the pause before a restart, here an hour."""
    policy = RestartPolicy(first_pause=3600, longest_pause=3600, longest_pause_when_able=3600)
    supervisor = Supervisor(policy=policy)
    starting = asyncio.create_task(supervisor.start([component("broken", "raise SystemExit(1)")]))
    await eventually(lambda: "broken" in supervisor.states and supervisor.states["broken"].phase is Phase.RESTARTING)
    starting.cancel()
    await supervisor.stop()


def test_nothing_outlives_a_killed_supervisor(tmp_path):
    """SIGKILL of the supervisor leaves no child, not even a deaf one."""
    code = textwrap.dedent(f"""
        import asyncio, os, pathlib, sys
        from taskbell.local.embedded.process import launched
        from taskbell.local.supervisor.component import Component
        from taskbell.local.supervisor.supervisor import Supervisor
        deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        async def main():
            tree = Supervisor()
            command = tuple(launched([sys.executable, "-c", deaf]))
            folder = pathlib.Path({str(tmp_path)!r})
            await tree.start([Component(name=n, command=command, log=folder / n, env=dict(os.environ)) for n in "ab"])
            print(*[state.pid for state in tree.states.values()], flush=True)
            await tree.wait()
        asyncio.run(main())
    """)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as tree:
        pids = [int(pid) for pid in tree.stdout.readline().split()]
        assert len(pids) == 2
        tree.kill()
    until(lambda: not any(psutil.pid_exists(pid) for pid in pids), "the end of both")


async def test_the_reason_is_of_the_last_life(supervisor, component):
    """What an earlier process wrote to the same log is not taken for the last words of this one."""
    broken = component("broken", "raise SystemExit(2)", is_ready=asyncio.Event().wait)
    broken.log.write_text("FATAL: of yesterday\n")
    with pytest.raises(ComponentGaveUp, match="exit status 2, last words: nothing in the log"):
        await supervisor.start([broken])


async def test_a_part_that_can_be_repaired_is_once(supervisor, component, tmp_path):
    """Before it is given up its repair is tried, and the reason says what was done."""
    flag = tmp_path / "repaired"

    def repair():
        flag.touch()
        return "a file was made"

    code = f"import os, sys, time; os.path.exists({str(flag)!r}) or sys.exit('no file'); time.sleep(600)"
    await supervisor.start([component("part", code, is_ready=lambda: asyncio.to_thread(flag.exists), repair=repair)])
    assert supervisor.states["part"].reason.endswith("last words: no file; a file was made")


async def test_a_part_whose_repair_does_not_help_is_given_up(supervisor, component):
    """It is repaired a single time."""
    repairs = []

    def repair():
        repairs.append("tried")
        return "tried"

    broken = component("broken", "raise SystemExit('no')", is_ready=asyncio.Event().wait, repair=repair)
    with pytest.raises(ComponentGaveUp, match=r"last words: no \(log"):
        await supervisor.start([broken])
    assert repairs == ["tried"]


async def test_a_part_that_never_will_be_ready_is_not_waited_for(supervisor, component):
    """The probe's reason is the reason, long before the time to become ready is over."""

    async def is_ready():
        raise ServerNotStarted("the store is damaged")

    with pytest.raises(ComponentGaveUp, match="the store is damaged"):
        await supervisor.start([component("hopeless", is_ready=is_ready)])
