# SPDX-License-Identifier: LGPL-2.1-or-later
"""What speaks of the programs beside their manual: completions know every verb and option, and no others; the
description of the house knows every room; and every file that is pointed to is there."""

import os
import re

import pytest

ROOT = os.path.abspath(os.environ.get("NSREG_SOURCE", os.path.join(os.path.dirname(__file__), "..", "..")))
PROGRAMS = ("nsregd", "nsregc", "nsregctl")
COMPLETIONS = {"bash": "conf/bash-completion/{}", "zsh": "conf/zsh-completion/_{}", "fish": "conf/fish-completion/{}.fish"}
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "NEWS")


def text(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def completion(shell, program):
    """Without its comments."""
    return re.sub(r"^\s*#.*$", "", text(COMPLETIONS[shell].format(program)), flags=re.M)


def source(program):
    folder = os.path.join(ROOT, "src", program)
    return "".join(text(os.path.join("src", program, name)) for name in sorted(os.listdir(folder)) if name.endswith(".c"))


def options(program):
    """The long ones. Of several that are read as the same the first is its name, the others are older spellings."""
    names = {}
    for name, value in re.findall(r'\{ "([a-z-]+)", \w+_argument, NULL, ([^ ]+) \}', source(program)):
        names.setdefault(value, name)
    return set(names.values())


def verbs():
    table = re.search(r"struct verb verbs\[\] = \{(.*?)\n\};", source("nsregctl"), re.S)[1]
    return re.findall(r'^\s*\{ "([a-z-]+)", .*?" ?([^"]*)",\s', table, re.M)


def test_there_is_something_to_compare():
    assert all(len(options(program)) >= 6 for program in PROGRAMS)
    assert len(verbs()) > 15 and len(dict(verbs())) == len(verbs())


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("shell", COMPLETIONS)
def test_completions_know_every_option(shell, program):
    pattern = r"(?m)^complete .*? -l ([a-z-]+)" if shell == "fish" else r"(?<![\w-])--([a-z][a-z-]*)"
    assert set(re.findall(pattern, completion(shell, program))) == options(program)


@pytest.mark.parametrize("shell", COMPLETIONS)
def test_completions_know_every_verb(shell):
    told = completion(shell, "nsregctl")
    if shell == "bash":
        known = re.search(r"verbs='([^']*)'", told)[1].split()
    elif shell == "zsh":
        known = re.findall(r"^\s*'([a-z-]+):", re.search(r"verbs=\((.*?)\n\s*\)\n", told, re.S)[1], re.M)
    else:
        known = re.findall(r"-n \$no_verb -a ([a-z-]+) ", told)
        assert re.search(r"set -l verbs ((?:[^\n]*\\\n)*[^\n]*)", told)[1].replace("\\\n", " ").split() == known
    assert known == [verb for verb, _ in verbs()]


@pytest.mark.parametrize("shell", COMPLETIONS)
def test_completions_know_what_the_client_is_asked_for(shell):
    requests = re.search(r"\[([a-z|]+)\]", dict(verbs())["client"])[1].split("|")
    assert len(requests) > 3
    assert " ".join(requests) in completion(shell, "nsregctl")


def test_the_architecture_names_every_room():
    rooms = [name for name in os.listdir(os.path.join(ROOT, "src")) if os.path.isdir(os.path.join(ROOT, "src", name))]
    assert len(rooms) > 8
    missing = [room for room in rooms if f"`src/{room}/`" not in text("ARCHITECTURE.md")]
    assert not missing, missing


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_is_pointed_to_is_there(document):
    """Paths of the tree and of a room, and the tests that are named with them."""
    told = text(document)
    folders = sorted(name for name in os.listdir(ROOT) if os.path.isdir(os.path.join(ROOT, name)) and name[0].isalpha())
    paths = re.findall(rf"`((?:{'|'.join(map(re.escape, folders))})/[\w./-]*)", told)
    gone = [path for path in paths if not path.startswith("build") and not os.path.exists(os.path.join(ROOT, path.rstrip(".")))]
    assert not gone, gone
    for path, tests in re.findall(r"`(tests/[\w/-]+\.(?:py|c))` \(([^)]*)\)", told):
        for name in re.findall(r"`(test_\w+)`", tests):
            assert re.search(rf"\b{name}\(", text(path)), f"{path}: {name}"
    for link in re.findall(r"\]\(([^)#:]+)\)", told):
        assert os.path.exists(os.path.join(ROOT, link)), link
