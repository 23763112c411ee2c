"""The verbs of labs, each in a file of its own, so that a command pays for one of them."""
