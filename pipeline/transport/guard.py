"""The only module that decides which addresses a download may reach, where it cannot be talked round: at the socket."""

import errno
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohappyeyeballs import AddrInfoType

#: Prefixes whose last 32 bits are an IPv4 address that the network may unwrap: mapped, compatible, translated, NAT64.
_EMBEDDING = tuple(map(IPv6Network, ("::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96")))
#: Where public IPv6 addresses come from (RFC 4291); everything else is local, or not yet given to anybody.
_GLOBAL_UNICAST = IPv6Network("2000::/3")
#: Set aside by IANA, and public to an interpreter that is older than its register: protocols' own addresses (RFC 6890),
#: relays to 6to4 (RFC 7526), documentation (RFC 9637).
_SET_ASIDE = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"), IPv6Network("3fff::/20"))
#: Interface identifiers of ISATAP (RFC 5214): an IPv4 address follows them.
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)


class GuardedSocketError(PermissionError):
    """No socket for that address. An ``OSError``, so that the other addresses of the same host are still tried."""

    def __init__(self, address: str) -> None:
        super().__init__(errno.EACCES, "not a public address")
        self.address = address


def is_public(address: str) -> bool:
    """Whether an IP address, a zone after ``%`` left out, is one of the public internet's.

    ``ipaddress.is_global`` alone is wrong for NAT64, ``::a.b.c.d`` and multicast: what is wrapped is unwrapped. 6to4 is
    refused whole: its relays are gone (RFC 7526), and interpreters disagree whether it is global.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return _is_public(parsed)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if any(address in network for network in _SET_ASIDE):
        return False
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast
    if address.sixtofour is not None:
        return False
    inner = _embedded(address)
    if inner is not None and not _is_public(inner):
        return False
    if any(address in network for network in _EMBEDDING):
        return True
    return address in _GLOBAL_UNICAST and address.is_global and not address.is_multicast


def _embedded(address: IPv6Address) -> IPv4Address | None:
    number = int(address)
    if any(address in network for network in _EMBEDDING) or (number >> 32) & 0xFFFF_FFFF in _ISATAP:
        return IPv4Address(number & 0xFFFF_FFFF)
    return None


def guarded_socket(info: AddrInfoType) -> socket.socket:
    """Make a socket for an address that is public; the connector's ``socket_factory``.

    Raises:
        GuardedSocketError: The address is not public.
        OSError: The system has no socket to give.
    """
    family, kind, protocol, _, address = info
    if not is_public(str(address[0])):
        raise GuardedSocketError(str(address[0]))
    return socket.socket(family, kind, protocol)
