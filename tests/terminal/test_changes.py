"""`taskbell edit` and `move`: what changes, and what somebody else's change prevents."""

import pytest

pytestmark = [pytest.mark.xdist_group("terminal"), pytest.mark.timeout(600)]


@pytest.mark.feature("P7")
def test_fields_change_and_go(ann):
    """Each option changes its field and no other; `none` and an empty description take away."""
    ann.types("add", "Pay rent", "--due", "2027-01-31", "-d", "To the landlord")
    said = ann.types(
        "edit", "1", "--title", "Pay the rent", "-p", "1", "--status", "in_progress", "--assign", "me"
    ).stdout
    assert said.startswith("Pay the rent\n")
    (task,) = ann.gets("tasks")
    assert (task["title"], task["priority"], task["status"]) == ("Pay the rent", 1, "in_progress")
    assert (task["description"], task["assignee_ids"]) == ("To the landlord", [ann.user_id])
    (task,) = ann.gets("edit", "1", "--due", "none", "-d", "", "--unassign", "me")
    assert (task["due_at"], task["description"], task["assignee_ids"]) == (None, None, [])
    assert (task["title"], task["priority"]) == ("Pay the rent", 1)
    assert "say what to change" in ann.types("edit", "1", status=2).stderr


def test_a_change_of_somebody_else_is_not_overwritten(ann):
    """What changed since it was shown is refused with status 5 and the way out; one's own changes are no obstacle."""
    made = ann.gets("add", "Dig")[0]["id"]
    ann.types("tasks")
    ann.types("edit", "1", "-p", "2")
    ann.types("edit", "1", "-p", "3")
    ann.http.patch(f"/v1/tasks/{made}", json={"title": "Dig deeper"}).raise_for_status()
    refused = ann.types("edit", "1", "--title", "Dig a little", status=5)
    assert "`taskbell show 1`" in refused.stderr
    assert ann.types("show", "1").stdout.startswith("Dig deeper\n")
    ann.types("edit", "1", "--title", "Dig a little")
    assert [task["title"] for task in ann.gets("tasks")] == ["Dig a little"]


def test_who_does_it_is_read_with_the_version(ann, person):
    """`--assign` adds to those who are assigned, `--unassign` takes one away."""
    garden = ann.gets("workspaces", "--new", "Garden")[-1]
    bob = person("Bob")
    ann.types("invite", bob.email, "-w", "Garden")
    bob.http.post(f"/v1/invitations/{bob.asks('/v1/invitations')['items'][0]['id']}/accept").raise_for_status()
    made = ann.gets("add", "Dig", "-w", garden["id"], "--assign", "me")[0]["id"]
    (task,) = ann.gets("edit", made, "--assign", bob.email)
    assert task["assignee_ids"] == [ann.user_id, bob.user_id]
    (task,) = ann.gets("edit", made, "--unassign", "me")
    assert task["assignee_ids"] == [bob.user_id]


@pytest.mark.feature("T7")
@pytest.mark.parametrize(
    ("options", "order"),
    [
        (("3", "--before", "1"), "CAB"),
        (("1", "--after", "2"), "BAC"),
        (("3", "--top"), "CAB"),
        (("1", "--top"), "ABC"),
        (("1", "--bottom"), "BCA"),
        (("3", "--bottom"), "ABC"),
    ],
)
def test_a_task_moves(ann, options, order):
    """Before or after another one, or to an end of the list."""
    for title in "ABC":
        ann.http.post("/v1/tasks", json={"title": title}).raise_for_status()
    ann.types("tasks")
    assert ann.types("move", *options).stdout == f"moved: {'ABC'[int(options[0]) - 1]}\n"
    assert "".join(task["title"] for task in ann.gets("tasks")) == order


@pytest.mark.parametrize("options", [(), ("--top", "--bottom"), ("--before", "1", "--top")])
def test_a_move_has_one_place(ann, options):
    """None or two: status 2, and nothing moves."""
    ann.types("add", "A")
    assert "say where to" in ann.types("move", "1", *options, status=2).stderr
