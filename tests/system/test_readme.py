# SPDX-License-Identifier: LGPL-2.1-or-later
"""README's ways, typed word for word as it has them: one machine plays registrar, device and name server."""

import os
import re

import pytest

from lab import eventually

from home import CLIENT, network, no_network

ADDRESSES = ("192.168.0.1", "192.168.0.7", "192.168.0.53")


@pytest.fixture(autouse=True)
def lan():
    network(*[f"{address}/24" for address in ADDRESSES])
    yield
    no_network()


def section(title, until, without=None):
    with open(os.path.join(os.environ["NSREG_SOURCE"], "README.md"), encoding="utf-8") as file:
        text = file.read()
    text = text.split(f"\n## {title}\n", 1)[1].split(until, 1)[0]
    if without:
        begin, end = (text.index(word) for word in without)
        text = text[:begin] + text[end:]
    return text


def steps(text):
    """(path of a file or None for commands, what to type): the indented blocks, each with the paragraph before it."""
    before = ""
    for block in re.split(r"\n(?:[ ]*\n)+", text.strip("\n")):
        lines = block.splitlines()
        margin = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
        numbered = re.match(r"\d\. ", before)
        if margin >= (7 if numbered or before.startswith("   ") else 4):
            path = re.search(r"`(/[^`]*)`[^`]*:$", before.splitlines()[-1])
            yield path and path.group(1), "\n".join(line[margin:] for line in lines) + "\n"
        else:
            before = block


def commands(text):
    """A dig is a question, to be asked until there is an answer; what is around it is typed as it stands."""
    for part in re.split(r"^(dig .*\n)", text, flags=re.M):
        if part.strip():
            yield part.startswith("dig "), part


def answered(container, command):
    shown = container.run("sh", "-c", command).stdout
    return "ANSWER SECTION" in shown and shown


def follow(container, text):
    """Types everything; returns what the questions showed, by command."""
    shown = {}
    for path, typed in steps(text):
        if path:
            container.write(path, typed)
            continue
        for is_question, part in commands(typed):
            if is_question:
                shown[part.strip()] = eventually(lambda: answered(container, part), 30, part)
            else:
                container.run("bash", "-ec", part)
    return shown


QUICK = ("Quick start: two machines, no other server", "So that everybody's resolver")
OWN = ("A zone on your own name server", "\n## ", ("   **Knot DNS**", "3. Tell nsregd"))


def test_the_steps_are_found():
    kinds = [path for path, _ in steps(section(*QUICK))]
    assert kinds == ["/etc/nsregd/nsregd.yaml", None, None, "/etc/nsregc/nsregc.yaml", None, None]
    kinds = [path for path, _ in steps(section(*OWN))]
    assert kinds == [None, None, "/etc/bind/named.conf.local", None, "/etc/nsregd/nsregd.yaml", None, None]


def test_quick_start(container):
    container.boot()
    shown = follow(container, section(*QUICK))
    assert len(shown) == 2
    forward, reverse = shown.values()
    assert "192.168.0.7" in forward and "lamp.home.arpa." in reverse


def test_own_name_server(container):
    container.boot()
    shown, = follow(container, section(*OWN)).values()
    assert set(re.findall(r"\sA\s+(\S+)", shown.split("ANSWER SECTION")[1])) >= set(ADDRESSES)
    pointer = container.run("dig", "+short", "@192.168.0.53", "-x", "192.168.0.7").stdout
    assert pointer.strip() == "lamp.dyn.example.org."
    # Nobody else has seen the key.
    for directory in ("/etc/nsregd", "/etc/bind"):
        assert container.run("cat", f"{directory}/tsig.key", user=65534, check=False).returncode != 0


def test_the_command_and_the_service_are_one_device(container):
    """The command line's claim is the service's: same key, same name."""
    container.boot()
    before = section(*QUICK).split("and for good with", 1)
    follow(container, before[0])
    claimed = container.run("nsregctl", "--json=short", "show", "lamp.home.arpa").stdout
    fingerprint = re.search(r'"KeyFingerprint":"([^"]+)"', claimed).group(1)
    follow(container, "and for good with" + before[1])
    assert fingerprint == container.run("busctl", "get-property", *CLIENT, "KeyFingerprint").stdout.split('"')[1]
    shown = container.run("nsregctl", "--json=short", "show", "lamp.home.arpa").stdout
    assert f'"KeyFingerprint":"{fingerprint}"' in shown
    assert [entry for entry in container.journal("-u", "nsregc.service") if "refused" in str(entry["MESSAGE"])] == []
