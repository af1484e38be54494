# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which addresses nsregc has to register, computed from what the kernel says."""

import fnmatch
import ipaddress
import json

EXCLUDED = ("127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10")


def usable(output, globs=(), exclude=EXCLUDED, extra=(), temporary=False):
    """What protocol.md's rules make of the output of `ip -j address`."""
    addresses = set(extra)
    for link in json.loads(output):
        name = link["ifname"]
        wanted = [glob for glob in globs if not glob.startswith("!")]
        if any(fnmatch.fnmatchcase(name, glob[1:]) for glob in globs if glob.startswith("!")):
            continue
        if wanted and not any(fnmatch.fnmatchcase(name, glob) for glob in wanted):
            continue
        for info in link["addr_info"]:
            if not info or info["scope"] != "global":
                continue
            if any(info.get(flag) for flag in ("deprecated", "tentative", "dadfailed")):
                continue
            if info.get("temporary") and not temporary:
                continue
            address = ipaddress.ip_address(info["local"])
            if any(address in ipaddress.ip_network(subnet) for subnet in exclude):
                continue
            addresses.add(str(address))
    return addresses
