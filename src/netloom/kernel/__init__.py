"""The only files that talk to the kernel: netlink sockets, system calls, /proc."""
