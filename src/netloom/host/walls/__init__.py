"""Firewalls and settings that the host shares: rules of ours, exceptions in others, claims."""
