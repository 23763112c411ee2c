"""The star as Mininet makes it, on a Linux bridge; run by the Python that Debian's mininet is for.

A session: it prints how long it took, waits for a line, takes all down, and prints again.
"""

import json
import sys
import time

from mininet.net import Mininet
from mininet.nodelib import LinuxBridge
from mininet.topo import Topo


class Star(Topo):
    """One switch, and a host with an address and a default route for each member."""

    def build(self, n: int) -> None:
        """Describe it."""
        self.addSwitch("s1")
        for i in range(n):
            ip = f"10.64.{(i + 1) // 256}.{(i + 1) % 256}/16"
            self.addHost(f"h{i}", ip=ip, defaultRoute="via 10.64.255.254")
            self.addLink(f"h{i}", "s1")


def tell(start: float) -> None:
    """Print the seconds since `start`."""
    print(json.dumps({"total": time.monotonic() - start}), flush=True)


def main(n: int) -> None:
    """Make it, wait for a line, unmake it."""
    Mininet.inited = True  # or it would raise limits of the whole machine (mininet.util.fixLimits)
    start = time.monotonic()
    net = Mininet(topo=Star(n=n), switch=LinuxBridge, controller=None)
    net.start()
    tell(start)
    sys.stdin.readline()
    start = time.monotonic()
    net.stop()
    tell(start)


if __name__ == "__main__":
    main(int(sys.argv[1]))
