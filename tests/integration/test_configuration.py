# SPDX-License-Identifier: LGPL-2.1-or-later
"""A configuration that is wrong: at the start it ends the daemon and says where, at a reload the old one stays."""

import os
import re
import subprocess
import time

import pytest

from lab import eventually, program

ZONE = "d.example"

BAD = (
    ("zones: [\n", ":2:1: not YAML"),
    ("listen-prot: 1\n", ':1:1: listen-prot: unknown key (did you mean "listen-port"?)'),
    ("zones:\n  d.example:\n    max-addr-ttl: long\n", ":3:19: zones.d.example.max-addr-ttl: "),
    ("zones:\n  d.example:\n    upstreams:\n    - type: nsudpate\n", '(did you mean "nsupdate"?)'),
    ("listen-port: 0\n", ":1:14: listen-port: "),
    ("listen-port: 1\nlisten-port: 2\n", ":2:1: duplicate key"),
)


@pytest.mark.parametrize("text,expected", BAD)
def test_bad_at_the_start(lab, text, expected):
    registrar = lab.nsregd(config=text)
    for arguments in ((), ("--check-config",)):
        status, _, errors = registrar.run(*arguments)
        assert status == 1, errors
        assert expected in errors, errors
    assert not os.listdir(registrar.data_dir)


def test_good_check(lab):
    registrar = lab.nsregd({ZONE: {}})
    status, output, errors = registrar.run("--check-config")
    assert status == 0 and not errors, (output, errors)
    assert not os.listdir(registrar.data_dir)


def test_missing_file(lab):
    registrar = lab.nsregd({ZONE: {}})
    run = subprocess.run([program("nsregd"), "-c", registrar.config_path], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, check=False, timeout=60, env=registrar.environment)
    assert run.returncode == 1 and registrar.config_path in run.stderr and "No such file" in run.stderr, run.stderr


def test_print_shows_what_is_in_force(lab):
    named = lab.named(ZONE)
    registrar = lab.nsregd({ZONE: {"max-addr-ttl": "2m", "upstreams": [named.upstream(ZONE)]}})
    status, output, _ = registrar.run("--print")
    assert status == 0
    assert "max-addr-ttl: 2min" in output and "max-key-ttl: " in output and "connections: 4096" in output
    assert named.key.secret not in output


def test_what_cannot_be_meant_is_told(lab):
    """By the check; what may be meant after all is taken, and told as well."""
    for text, expected in (
            ("listen-addr: '[::1]'\n", ':1:14: listen-addr: "[::1]": an address stands without brackets here: "::1"'),
            ("zones: {a b.test: {}}\n", ":1:9: zones.a b.test: letters, digits, hyphens and underscores are wanted"),
            ("zones: {d.example: {reverse-zones: [256.in-addr.arpa]}}\n", '"256" is no octet (0 to 255) of an address')):
        status, _, errors = lab.nsregd(config=text).run("--check-config")
        assert status == 1 and expected in errors, errors

    named = lab.named(ZONE)
    key = os.path.join(lab.subdirectory("key"), "tsig.key")
    upstream = named.upstream(ZONE)
    with open(key, "w", encoding="ascii") as out:
        out.write(f'key "k" {{ algorithm hmac-sha256; secret "{upstream.pop("tsig-secret")}"; }};\n')
    os.chmod(key, 0o644)
    for directory in (lab.directory, os.path.dirname(key)):
        os.chmod(directory, 0o755)
    for word in ("tsig-name", "tsig-algorithm"):
        upstream.pop(word)
    registrar = lab.nsregd({ZONE: {"allowed-nets": ["192.168.0.1/24"],
                                   "upstreams": [{**upstream, "tsig-key-file": key,
                                                  "reverse-zones": ["192.168.in-addr.arpa"]}]}})
    status, _, errors = registrar.run("--check-config")
    assert status == 0 and f"{key} is a secret that everybody can read" in errors, errors
    assert "an address inside a network; 192.168.0.0/24 is taken" in errors
    assert "192.168.0.0/16 is that of 168.192.in-addr.arpa." in errors


def test_what_the_client_cannot_mean_is_told(lab):
    client = lab.nsregc(config="interfaces: ['[a-']\n")
    status, _, errors = client.run("--print")
    assert status == 1 and ':1:14: interfaces[0]: "[a-": a pattern with a bracket that is not closed' in errors
    client = lab.nsregc(config="exclude-subnets: [192.168.0.1/24]\n")
    status, output, errors = client.run("--print")
    assert status == 0 and '"192.168.0.0/24"' in output and "192.168.0.0/24 is taken" in errors


def test_a_masked_drop_in_is_none(lab):
    registrar = lab.nsregd({ZONE: {}})
    os.mkdir(f"{registrar.config_path}.d")
    os.symlink("/dev/null", f"{registrar.config_path}.d/10-masked.yaml")
    status, _, errors = registrar.run("--check-config")
    assert status == 0 and not errors, errors


@pytest.mark.parametrize("option", ("--nonsense", "extra"))
def test_usage(lab, option):
    status, _, errors = lab.nsregd({ZONE: {}}).run(option)
    assert status == 2 and "--help" in errors, errors


def test_help_and_version():
    for option in ("--help", "--version"):
        run = subprocess.run([program("nsregd"), option], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             check=False, timeout=60)
        assert run.returncode == 0 and "nsregd" in run.stdout and not run.stderr, run


@pytest.mark.parametrize("text,expected", BAD)
def test_bad_at_a_reload(lab, text, expected):
    named = lab.named(ZONE).start()
    registrar = lab.nsregd({ZONE: {"upstreams": [named.upstream(ZONE)]}}).start()
    good = registrar.config
    client = registrar.client(ZONE)
    now = int(time.time())
    assert client.claim("foo", "10.0.0.1", inception=now - 300).rcode == "NOERROR"
    records = named.records()

    registrar.reload(text)
    eventually(lambda: expected in registrar.log(), what="the error is told")
    assert registrar.running
    assert named.records() == records
    assert registrar.client(ZONE).claim("bar", "10.0.0.2").rcode == "NOERROR"
    assert client.claim("foo", "10.0.0.1", inception=now - 299).rcode == "NOERROR"
    assert {("foo.d.example.", "A", "10.0.0.1"), ("bar.d.example.", "A", "10.0.0.2")} <= named.records()

    registrar.reload(good)
    assert registrar.client(ZONE).claim("baz", "10.0.0.3").rcode == "NOERROR"


def test_reload_takes_new_values(lab):
    registrar = lab.nsregd({ZONE: {"max-addr-ttl": "600s"}}).start()
    client = registrar.client(ZONE)
    now = int(time.time())
    assert client.claim("foo", ("10.0.0.1", 5000), inception=now - 300).granted() == {"10.0.0.1": 600}

    config = dict(registrar.config)
    config["zones"] = {ZONE: {"max-addr-ttl": "60s", "reserved-names": ["printer"]}, "e.example": {}}
    registrar.reload(config)
    eventually(lambda: registrar.query("e.example", "SOA").rcode() == 0, what="the new zone is served")
    assert client.claim("foo", ("10.0.0.1", 5000), inception=now - 299).granted() == {"10.0.0.1": 60}
    assert registrar.client(ZONE).claim("printer", "10.0.0.2").rcode == "REFUSED"
    assert registrar.client("e.example").claim("foo", "10.0.0.3").rcode == "NOERROR"


def test_without_zones_it_runs(lab):
    registrar = lab.nsregd({})
    registrar.start()
    assert registrar.query("d.example", "SOA").rcode() == 5
    assert registrar.term() == 0


def test_port_in_use(lab):
    first = lab.nsregd({ZONE: {}}).start()
    second = lab.nsregd({ZONE: {}})
    second.config["listen-port"] = first.port
    status, _, errors = second.run()
    assert status == 1 and str(first.port) in errors, errors
    assert first.alive()


def test_term_ends_it_cleanly(lab):
    registrar = lab.nsregd({ZONE: {}}).start()
    with registrar.client(ZONE).connect():
        assert registrar.term() == 0


def test_secret_that_everybody_can_read(lab):
    named = lab.named(ZONE)
    registrar = lab.nsregd({ZONE: {"upstreams": [named.upstream(ZONE)]}})
    registrar.write_configuration()
    os.chmod(registrar.config_path, 0o644)
    run = subprocess.run([program("nsregd"), "-c", registrar.config_path, "--check-config"], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert run.returncode == 0 and "everybody can read" in run.stderr and named.key.secret not in run.stderr


@pytest.mark.parametrize("name", ("nsregd", "nsregc"))
def test_every_option_is_in_the_manual(name):
    shown = subprocess.run([program(name), "--help"], stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout
    source = os.environ.get("NSREG_SOURCE", os.path.join(os.path.dirname(__file__), "..", ".."))
    with open(os.path.join(source, "man", f"{name}.8"), encoding="ascii") as page:
        manual = page.read()
    options = set(re.findall(r"^ +(?:-\w,? )? *--([a-z-]+)", shown, re.M))
    assert len(options) >= 6
    assert not [option for option in options if not re.search(rf"^\.It Fl .*-{option}\b", manual, re.M)]
    for option in re.findall(r"^\.It Fl (?:\w , )?-([a-z-]+)", manual, re.M):
        assert f"--{option}" in shown, option


def test_a_certificate_that_is_missing_is_told_beforehand(lab):
    """By the check, and by a reload with its reason: not only by the start that fails."""
    server = lab.unbound(ZONE).start()
    entry = {**server.upstream(), "client-cert": "/nonexistent/control.pem"}
    zones = {ZONE: {"upstreams": [entry]}}
    nsregd = lab.nsregd(zones)
    status, _, errors = nsregd.run("--check-config")
    assert status == 1 and ZONE in errors and "/nonexistent/control.pem" in errors, errors
    nsregd.config["zones"] = {ZONE: {"upstreams": [server.upstream()]}}
    assert nsregd.run("--check-config")[0] == 0
    nsregd.start()
    nsregd.config["zones"] = zones
    nsregd.reload()
    nsregd.wait_log(rf"Zone {ZONE}\.: .*/nonexistent/control.pem")
    assert nsregd.alive(ZONE)
