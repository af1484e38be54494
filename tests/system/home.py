# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small home network with one registrar: what the system tests share."""

import subprocess

import dns.message
import dns.query

from lab import eventually
from lab.client import Client

ZONE = "home.example"
PORT = 8053
# One address plays many machines here.
CONFIG = {"zones": {ZONE: {"allowed-nets": ["127.0.0.0/8", "10.0.0.0/8"], "max-addr-ttl": "1h",
                           "max-names-per-source": 0}}}
REGISTRY = ("org.nsreg.Registry1", "/org/nsreg/Registry1", "org.nsreg.Registry1.Manager")
CLIENT = ("org.nsreg.Client1", "/org/nsreg/Client1", "org.nsreg.Client1.Manager")


def client(**options):
    return Client("127.0.0.1", PORT, ZONE, **options)


def addresses(label, zone=ZONE, kind="A"):
    query = dns.message.make_query(f"{label}.{zone}.", kind)
    reply = dns.query.udp(query, "127.0.0.1", port=PORT, timeout=10)
    return {rdata.to_text() for rrset in reply.answer for rdata in rrset}


def configure(container, config=None, **zone_options):
    if config is None:
        config = {"zones": {ZONE: {**CONFIG["zones"][ZONE], **zone_options}}}
    container.write("/etc/nsregd/nsregd.yaml", config)


def registrar(container, config=None, **zone_options):
    """Booted, with nsregd.socket enabled; nsregd itself waits for its first client."""
    configure(container, config, **zone_options)
    container.boot()
    container.systemctl("enable", "--now", "nsregd.socket")
    return container


def network(*cidrs, interface="lan0"):
    """An interface with these addresses, the way to everywhere, in the namespace that test and containers share."""
    for words in (["link", "add", interface, "type", "veth", "peer", "name", interface + "-end"],
                  ["link", "set", interface + "-end", "up"], ["link", "set", interface, "up"],
                  *[["address", "add", cidr, "dev", interface] for cidr in cidrs],
                  *[[family, "route", "add", "default", "dev", interface] for family in ("-4", "-6")]):
        subprocess.run(["ip", *words], check=True)


def no_network(interface="lan0"):
    subprocess.run(["ip", "link", "del", interface], check=False, stderr=subprocess.DEVNULL)


def eventually_is(label, expected, timeout=30):
    eventually(lambda: addresses(label) == set(expected), timeout, f"{label} has {expected}")
