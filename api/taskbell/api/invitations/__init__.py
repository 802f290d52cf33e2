"""Invitations to workspaces: nobody belongs to a workspace, nor is anything told of them, before they accept."""
