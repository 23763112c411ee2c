"""Bytes of sock_diag: whatever arrives is read or refused, and what is asked has its size."""

from contextlib import suppress
from struct import pack

from hypothesis import given
from hypothesis import strategies as st

from netloom.wire.attributes import Malformed
from netloom.wire.sockdiag import (
    Listener,
    UnixListener,
    dump_listeners,
    dump_unix_listeners,
    read_listeners,
    read_unix_listeners,
)


def test_questions_have_the_size_of_the_kernels_structures() -> None:
    """`struct inet_diag_req_v2` has 56 bytes, `struct unix_diag_req` 24."""
    assert [len(ask.body) for ask in dump_listeners("tcp")] == [56, 56]
    assert len(dump_unix_listeners().body) == 24


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    """Reading gives values or `Malformed`, nothing else."""
    with suppress(Malformed):
        read_listeners("tcp", [payload])
    with suppress(Malformed):
        read_unix_listeners([payload])


@given(st.integers(1, 65535), st.integers(0, 2**32 - 1), st.binary(min_size=72, max_size=80))
def test_port_and_inode_are_where_the_kernel_puts_them(port: int, inode: int, noise: bytes) -> None:
    """The port is in network order, the inode in the machine's; the rest does not matter."""
    payload = bytes((2, 10, *noise[2:4])) + pack(">H", port) + noise[6:8] + bytes((127, 0, 0, 1))
    payload += noise[12:68] + pack("=I", inode) + noise[72:]

    assert read_listeners("tcp", [payload]) == [Listener("tcp", "127.0.0.1", port, inode)]


def unix(kind: int, state: int, name: bytes) -> bytes:
    """Return what the kernel tells of a Unix socket."""
    padding = b"\0" * (-len(name) % 4)
    return (
        pack("=BBBxIII", 1, kind, state, 7, 0, 0) + pack("=HH", 4 + len(name), 0) + name + padding
    )


def test_a_stream_listens_when_it_says_so_and_a_datagram_socket_when_it_is_bound() -> None:
    """A stream that is only bound refuses connections."""
    told = [unix(1, 10, b"/run/a\0"), unix(1, 7, b"/run/b\0"), unix(2, 7, b"\0abc")]

    assert read_unix_listeners(told) == [
        UnixListener("/run/a", None, 7),
        UnixListener("@abc", None, 7),
    ]
