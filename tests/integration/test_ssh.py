# SPDX-License-Identifier: LGPL-2.1-or-later
"""ssh knows a registered machine's host key from the DNS: a signed zone, a resolver that validates."""

import os
import shutil
import subprocess

import pytest

from lab import Zone, eventually, free_port
from lab.house import ZONE
from lab.servers import Knot

HOST = f"box.{ZONE}"
SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin")

pytestmark = pytest.mark.skipif(not SSHD or not shutil.which("ssh"), reason="ssh or sshd is not installed")


class SignedKnot(Knot):
    def write_configuration(self):
        super().write_configuration()
        path = os.path.join(self.directory, "knot.conf")
        with open(path, encoding="ascii") as text:
            lines = text.read().replace("    semantic-checks: off", "    semantic-checks: off\n    dnssec-signing: on")
        with open(path, "w", encoding="ascii") as out:
            out.write(lines)


def resolver(lab, netns, server):
    """Unbound on port 53, which trusts the zone's key."""
    directory = lab.subdirectory("resolver")
    anchor = os.path.join(directory, "anchor")

    def keys():
        return [f"{ZONE}. DNSKEY {rdata.to_text()}" for rrset in server.query(ZONE, "DNSKEY", tcp=True).answer
                for rdata in rrset if rdata.flags == 257]

    with open(anchor, "w", encoding="ascii") as out:
        out.write("\n".join(eventually(keys, 20)) + "\n")
    config = os.path.join(directory, "unbound.conf")
    with open(config, "w", encoding="ascii") as out:
        out.write(f"""server:
  interface: 127.0.0.1
  do-daemonize: no
  chroot: ""
  username: ""
  pidfile: ""
  directory: "{directory}"
  use-syslog: no
  module-config: "validator iterator"
  trust-anchor-file: "{anchor}"
  do-not-query-localhost: no
  cache-max-ttl: 0
  cache-max-negative-ttl: 0
remote-control:
  control-enable: no
stub-zone:
  name: "{ZONE}"
  stub-addr: 127.0.0.1@{server.port}
""")
    lab.process("unbound", ["unbound", "-d", "-p", "-c", config], netns=netns).spawn()


@pytest.fixture
def machine(lab):
    netns = lab.netns(resolv_conf="nameserver 127.0.0.1\noptions edns0 trust-ad\n")
    netns.dummy("eth0", "10.1.2.3/24")
    server = lab.keep(SignedKnot(lab.subdirectory("knot"), Zone(ZONE), netns=netns)).start()
    resolver(lab, netns, server)
    nsregd = lab.nsregd(zones={ZONE: {"upstreams": [server.upstream(ZONE)]}}, netns=netns).start()
    return netns, server, nsregd


def test_host_key_from_the_dns(lab, machine):
    netns, server, nsregd = machine
    directory = lab.subdirectory("ssh")
    os.chmod(lab.directory, 0o755)
    key = os.path.join(directory, "ssh_host_ed25519_key")
    port = free_port()

    def make():
        for old in (key, f"{key}.pub"):
            if os.path.exists(old):
                os.unlink(old)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        # Without root's rights sshd needs no place of its own in the system.
        os.chown(key, 65534, 65534)

    def serve():
        return lab.process("sshd", ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", SSHD, "-D", "-e", "-f",
                                    "/dev/null", "-o", f"Port={port}", "-o", "ListenAddress=10.1.2.3", "-o",
                                    f"HostKey={key}", "-o", "PidFile=none", "-o", "UsePAM=no"], netns=netns).spawn()

    def ssh():
        """What ssh says of the host key; nobody is let in."""
        return subprocess.run([*netns.command(), "ssh", "-v", "-F", "/dev/null", "-o", "BatchMode=yes", "-o",
                               "UserKnownHostsFile=/dev/null", "-o", "GlobalKnownHostsFile=/dev/null", "-o",
                               "VerifyHostKeyDNS=yes", "-o", "StrictHostKeyChecking=yes", "-p", str(port), f"nobody@{HOST}"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False, timeout=60).stdout

    make()
    client = lab.nsregc("box", zones=[ZONE], server=nsregd, netns=netns, ssh_host_keys=True,
                        environment={"NSREGC_SSH_DIRECTORY": directory}).start()
    eventually(lambda: server.query(HOST, "SSHFP").answer, 20)
    process = serve()
    told = eventually(lambda: (lambda text: text if "kex" in text.lower() else None)(ssh()), 20)
    assert "matching host key fingerprint found in DNS" in told and "Host key verification failed" not in told, told
    assert "Permission denied" in told, told

    # Another key, unknown to the DNS: somebody in between.
    client.kill()
    process.kill()
    make()
    serve()
    told = eventually(lambda: (lambda text: text if "kex" in text.lower() else None)(ssh()), 20)
    assert "Host key verification failed" in told, told
    # Its owner registers it, and all is well.
    client.start()
    eventually(lambda: "matching host key fingerprint found in DNS" in ssh(), 30)
