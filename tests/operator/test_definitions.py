"""Definitions that come and go under a running operator."""

import os

import pytest

from taskbell.contract import crds
from taskbell.operator.supervision import DefinitionMissing, WatchDown, Watches
from taskbell.testing.waiting import eventually

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
pytestmark = pytest.mark.skipif("KUBECONFIG" in os.environ, reason="it would delete the objects of all namespaces")


@pytest.fixture
def definition(kubectl):
    """Remove a definition and bring it back."""

    class Definition:
        async def remove(self, name):
            await kubectl.must("DELETE", f"{CRDS}/{name}")

            async def gone():
                return (await kubectl.send("GET", f"{CRDS}/{name}"))[0] == 404

            await eventually(gone, "the definition is gone")

        async def bring_back(self, name):
            (manifest,) = (found for found in crds.manifests() if found["metadata"]["name"] == name)
            await kubectl.install(manifest)

            async def served():
                return (await kubectl.send("GET", kubectl.at(name.partition(".")[0])))[0] == 200

            await eventually(served, "it is served again")

    return Definition()


async def state(watches, kind):
    """What a health check of a kind says."""
    try:
        await watches.checks()[f"watch {kind}.taskbell.dev"]()
    except (DefinitionMissing, WatchDown) as failed:
        return type(failed).__name__
    return "ok"


@pytest.mark.parametrize("plural", ["reminderschedules", "workerpools"])
async def test_a_definition_that_comes_back_is_watched_again(place, operate, settings, definition, plural):
    """While a definition is gone its kind is not ready and the other works on; once it is back a new object is kept."""
    name, watches = f"{plural}.taskbell.dev", Watches(settings.operator_watch_namespaces)
    async with operate(watches=watches):
        assert await state(watches, plural) == "ok"
        await definition.remove(name)

        async def noticed():
            return await state(watches, plural) == "DefinitionMissing"

        await eventually(noticed, "it is noticed")
        if plural == "workerpools":
            await place.make("meanwhile")
            await place.settled("meanwhile")
        await definition.bring_back(name)

        async def watched():
            return await state(watches, plural) == "ok"

        await eventually(watched, "it is watched again")
        await place.make()
        await place.settled()
    assert await place.cron_job() is not None


async def test_a_watch_that_does_not_run_is_named():
    """A process that leads names each kind whose watch does not run; one that stands by passes."""
    watches = Watches(("a", "b"))
    assert await state(watches, "workerpools") == "ok"
    watches.begin(())
    assert await state(watches, "workerpools") == "WatchDown"
    watches.answered("/k8s/apis/taskbell.dev/v1alpha1/namespaces/a/workerpools", runs=True)
    assert await state(watches, "workerpools") == "WatchDown"
    watches.answered("/k8s/apis/taskbell.dev/v1alpha1/namespaces/b/workerpools", runs=True)
    assert await state(watches, "workerpools") == "ok"
    assert sorted(watches.down()) == ["cronjobs", "reminderschedules"]
    watches.answered("/k8s/apis/taskbell.dev/v1alpha1/namespaces/b/workerpools", runs=False)
    assert await state(watches, "workerpools") == "WatchDown"
