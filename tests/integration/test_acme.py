# SPDX-License-Identifier: LGPL-2.1-or-later
"""A registered name gets a certificate: certbot, with the hooks of the manual, and an authority that asks the DNS."""

import json
import os
import shutil
import subprocess

import pytest

from lab import eventually, free_port, program
from lab.house import House, ZONE

HOST, CHALLENGE = f"box.{ZONE}", f"_acme-challenge.box.{ZONE}"

pytestmark = pytest.mark.skipif(not shutil.which("certbot") or not shutil.which("pebble"),
                                reason="certbot or pebble is not installed")


@pytest.fixture
def authority(lab):
    """Pebble, which asks the house's name server."""
    house = House(lab, named=True)
    directory = lab.subdirectory("pebble")
    port = free_port()
    certificate, key = os.path.join(directory, "certificate.pem"), os.path.join(directory, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
                   check=True, stderr=subprocess.DEVNULL)
    config = os.path.join(directory, "pebble.json")
    with open(config, "w", encoding="ascii") as out:
        json.dump({"pebble": {"listenAddress": f"127.0.0.1:{port}", "managementListenAddress": f"127.0.0.1:{free_port()}",
                              "certificate": certificate, "privateKey": key, "httpPort": 5002, "tlsPort": 5001}}, out)
    lab.process("pebble", ["pebble", "-config", config, "-dnsserver", f"127.0.0.1:{house.named.port}"],
                environment={**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"},
                netns=house.netns).spawn()

    def answers():
        return subprocess.run([*house.netns.command(), "openssl", "s_client", "-connect", f"127.0.0.1:{port}"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              check=False).returncode == 0

    eventually(answers, 30)
    return house, f"https://127.0.0.1:{port}/dir"


def test_certificate(lab, authority):
    """For the name and all below it: two values at once, and none is left."""
    house, url = authority
    client = house.nsregc()
    assert client.run("--once")[0] == 0
    directory = lab.subdirectory("certbot")
    hook = f"{program('nsregc')} -c {client.config_path} --acme-challenge"
    command = ["certbot", "certonly", "--manual", "--preferred-challenges", "dns", "--non-interactive", "--agree-tos",
               "--register-unsafely-without-email", "--no-verify-ssl", "--server", url, "--config-dir", directory,
               "--work-dir", directory, "--logs-dir", directory, "--manual-auth-hook", f'{hook} add "$CERTBOT_VALIDATION"',
               "--manual-cleanup-hook", f'{hook} remove "$CERTBOT_VALIDATION"', "-d", HOST, "-d", f"*.{HOST}"]
    done = subprocess.run([*house.netns.command(), *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL, env={**os.environ, **client.environment}, timeout=180, check=False)
    assert done.returncode == 0, done.stdout
    names = subprocess.run(["openssl", "x509", "-noout", "-ext", "subjectAltName", "-in",
                            os.path.join(directory, "live", HOST, "cert.pem")], stdout=subprocess.PIPE, text=True,
                           check=True).stdout
    assert f"DNS:{HOST}" in names and f"DNS:*.{HOST}" in names
    assert not house.named.query(CHALLENGE, "TXT").answer and house.published() == {"10.1.2.3"}
