"""Labs of Python programs: `with Lab() as lab`."""
