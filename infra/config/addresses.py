"""Addresses of the VPC: a quarter of it for each zone, one stays free."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, ip_network
from math import ceil

from infra.config.stages import Stage

PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
"""RFC 1918, and the shared space of RFC 6598."""
LARGEST, SMALLEST = 16, 28
"""Prefix lengths of a VPC and of a subnet ("VPC CIDR blocks", Amazon VPC user guide)."""
RESERVED = 5
"""Of each subnet: network, router, DNS, one for later, broadcast ("Subnet CIDR blocks", the same guide)."""
ENDPOINTS = 12
"""Interface endpoints, an address a zone each; network.py lists them."""


def private(network: IPv4Network) -> bool:
    return any(network.subnet_of(space) for space in PRIVATE)


def subnets(vpc: IPv4Network, zones: int) -> Sequence[IPv4Network]:
    """The subnet of each zone. `vpc` is a /26 or larger, `zones` 1 to 4."""
    return list(vpc.subnets(prefixlen_diff=2))[:zones]


def network(text: str) -> IPv4Network | None:
    """The network that the text names, None where it names none. A netmask behind the slash, which Python takes too, is no length to AWS."""
    try:
        found = ip_network(text)
    except ValueError:
        return None
    return found if isinstance(found, IPv4Network) and str(found) == text else None


def room(subnet: IPv4Network) -> int:
    """Addresses of a subnet that can be given away."""
    return subnet.num_addresses - RESERVED


def wanted(stage: Stage) -> int:
    """Addresses that a zone may need at once, with some to spare.

    A task has one, and while a deployment replaces tasks both sets run; functions share a few for each security group; OpenSearch asks for three
    times its nodes ("Reserving IP addresses in a VPC subnet", OpenSearch Service developer guide); a proxy grows by its clients ("Planning
    for IP address capacity", Aurora user guide).
    """
    workers, index, database = stage.workers, stage.index, stage.database
    spread = (
        2 * (workers.max_tasks + workers.max_large + 4) + 1 + database.max_readers + ceil(stage.history.spark_cores / 4)
    )
    everywhere = ENDPOINTS + 10 + 10  # endpoints; functions and cache; proxy
    return (
        ceil(spread / stage.network.zones) + 3 * ceil((index.nodes + index.masters) / stage.network.zones) + everywhere
    )
