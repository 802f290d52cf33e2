"""Devices: where push alerts of a user go."""
