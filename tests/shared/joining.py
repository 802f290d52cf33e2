"""Somebody joins a workspace: one who may do so invites them, and they accept."""


async def join(api, host, guest, *, workspace_id, role="member"):
    """Let `guest`, who has an `email` and `headers`, belong to a workspace that `host` administers."""
    body = {"email": guest.email, "role": role}
    invited = await api.post(f"/v1/workspaces/{workspace_id}/members", json=body, headers=host.headers)
    assert invited.status_code == 201, invited.text
    accepted = await api.post(f"/v1/invitations/{invited.json()['id']}/accept", headers=guest.headers)
    assert accepted.status_code == 200, accepted.text
