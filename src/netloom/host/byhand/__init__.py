"""Wires, moves and captures that are no lab's."""
