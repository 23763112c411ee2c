"""Bytes to model and back, without a socket."""
