"""Doing: a plan, carried out on this machine."""
