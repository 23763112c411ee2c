"""`lo` of a new namespace, which is born down."""

import fcntl
import struct

from netloom.errors import KernelError

_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


def set_lo_up() -> None:
    """Set `lo` up in the namespace of the calling thread (netdevice(7)); raises `KernelError`.

    Should: be called in a namespace that was just made.
    Mustn't: be called in one of the machine's, where somebody may have set it down on purpose.
    """
    import socket  # which `up` does without

    request = struct.pack("16sh22x", b"lo", _IFF_UP)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)
    except OSError as error:
        raise KernelError(error.errno or 0, "ip link set lo up") from error
