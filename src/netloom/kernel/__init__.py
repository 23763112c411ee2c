"""The only files that talk to the kernel: netlink sockets, system calls, /proc."""

in_program = True
"""Whether this process is somebody's program; the command line says that it is netloom's own."""
