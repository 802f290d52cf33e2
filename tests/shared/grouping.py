"""Which worker runs which test: those of a group, and those of a module, share one, and so what their fixtures start.

A group is named by the mark `xdist_group`. pytest 9.2 gave its items structured ids, and pytest-xdist 3.8 appends the
group to a field that nobody reads any more: each worker started the platforms of all groups. Written for both.
"""

import pytest
from _pytest.nodeid import NodeId
from xdist.scheduler import LoadGroupScheduling


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Tell the scheduler the group of each test, at the end of its id."""
    if not getattr(config.option, "loadgroup", False):
        return
    for item in items:
        mark = item.get_closest_marker("xdist_group")
        if mark and not item.nodeid.endswith(ending := f"@{mark.args[0]}"):
            item._id = NodeId.parse(item.nodeid + ending)


class _Scheduling(LoadGroupScheduling):
    def _split_scope(self, nodeid):
        group = super()._split_scope(nodeid)
        return group if group != nodeid else nodeid.split("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give the tests of a module to one worker, too, and the modules in the order in which they were collected."""
    if config.getvalue("dist") != "loadgroup":
        return None
    config.option.loadscopereorder = False
    return _Scheduling(config, log)
