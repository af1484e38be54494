# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the house asks of every source file: who may include whom, size, form."""

import os
import re
import shutil
import subprocess

import pytest

ROOT = os.path.abspath(os.environ.get("NSREG_SOURCE", os.path.join(os.path.dirname(__file__), "..", "..")))

# A room and the rooms it may include from, besides itself. Programs' managers join all floors.
ABOVE_DNS = {"util", "dns"}
MAY_INCLUDE = {
    "util": set(),
    "dns": {"util"},
    "registry": ABOVE_DNS,
    "config": ABOVE_DNS | {"registry", "upstream"},
    "store": ABOVE_DNS | {"registry"},
    "net": ABOVE_DNS,
    "bus": {"util"},
    "upstream": ABOVE_DNS | {"registry", "net"},
    "nsregd": None,
    "nsregc": None,
    "nsregctl": None,
}
# config/ fills the structs that upstream/ defines; it uses nothing else of it.
CONFIG_FROM_UPSTREAM = {"upstream/config.h"}


def files(folder, *endings):
    found = []
    for root, _, names in os.walk(os.path.join(ROOT, folder)):
        found += [os.path.relpath(os.path.join(root, name), ROOT) for name in names if name.endswith(endings)]
    return sorted(found)


SOURCES = files("src", ".c", ".h")
ALL_C = SOURCES + files("tests", ".c", ".h")


def text(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def test_there_is_something_to_judge():
    assert len(SOURCES) > 20


def test_includes_go_upward_only():
    wrong = []
    for path in SOURCES:
        room = path.split("/")[1]
        allowed = MAY_INCLUDE[room]
        for header in re.findall(r'^#include "([^"]+)"', text(path), re.M):
            other = header.split("/")[0]
            if "/" not in header:
                wrong.append(f"{path}: {header} without its room")
            elif other == room or allowed is None and other in MAY_INCLUDE:
                continue
            elif other not in (allowed or ()):
                wrong.append(f"{path} includes {header}")
            elif room == "config" and other == "upstream" and header not in CONFIG_FROM_UPSTREAM:
                wrong.append(f"{path} includes {header}")
    assert not wrong, "\n".join(wrong)


# What only tests call, and why it is there all the same.
FOR_TESTS = {
    "config_visit_keys": "the manual's tables are compared with the schema",
    "dns_algorithm_from_string": "keys are made by the name of their algorithm",
    "dns_client_pending": "shows that nothing is left in flight",
    "dns_key_parse_rr": "fixtures are records as text",
    "nsregc_config_parse": "configurations that are no files; the fuzzer's way in",
    "nsregd_config_parse": "the same",
    "rrset_add_address": "sets made by hand",
    "stream_set_close": "a server that breaks off a connection",
    "stream_set_is_alive": "shows when an id goes stale",
    "upstream_config_equal": "what is printed is read back as the same",
    "zone_policy_init": "policies made by hand",
}


def code(path):
    """Without comments and without what is in quotation marks, but with the names of headers."""
    bare = re.sub(r"/\*.*?\*/", lambda found: "\n" * found.group().count("\n"), text(path), flags=re.S)
    return re.sub(r'^(?!#include)(.*)$', lambda line: re.sub(r'"(?:\\.|[^"\\])*"', '""', line.group(1)), bare,
                  flags=re.M)


def test_every_function_has_a_caller():
    """Those of the headers: of the static ones the compiler tells."""
    bodies = {path: code(path) for path in SOURCES}
    declared = {}
    for path in SOURCES:
        if path.endswith(".h"):
            for name in re.findall(r"^(?!typedef|struct \w+ \{|#|DEFINE)[a-z_][\w *]*[ *](\w+)\(", bodies[path], re.M):
                declared.setdefault(name, path)
    assert len(declared) > 400
    uses = {}
    for body in bodies.values():
        # Neither where it is declared or defined, which begins a line, nor where its clean-up is made of it.
        body = re.sub(r"^(?:DEFINE_CLEANUP|[a-z_][\w *]*[ *]\w+\()", "", body, flags=re.M)
        for word in re.findall(r"\w+", body):
            uses[word] = uses.get(word, 0) + 1
    dead = {name: path for name, path in declared.items()
            if not uses.get(name, 0) + uses.get(f"{name}p", 0) and name not in FOR_TESTS}
    assert not dead, "\n".join(f"{path}: nobody calls {name}()" for name, path in sorted(dead.items()))
    gone = [name for name in FOR_TESTS if uses.get(name) or name not in declared
            or not any(re.search(rf"\b{name}\b", text(path)) for path in files("tests", ".c", ".h"))]
    assert not gone, f"no exception is needed: {gone}"


# Circles that are known, to be opened. A module is x.c, x.h and x-internal.h.
CIRCLES = [
    {"upstream/nsupdate", "upstream/publisher", "upstream/unbound"},
]


def test_files_include_each_other_in_one_direction():
    includes = {}
    for path in SOURCES:
        module = re.sub(r"(-internal)?\.[ch]$", "", path[len("src/"):])
        includes.setdefault(module, set()).update(
            re.sub(r"(-internal)?\.h$", "", header)
            for header in re.findall(r'^#include "([^"]+)"', text(path), re.M))

    def reachable(module):
        seen, new = set(), {module}
        while new:
            seen |= new
            new = {other for one in new for other in includes.get(one, ()) if other != one} - seen
        return seen

    reach = {module: reachable(module) for module in includes}
    circles = []
    for module in sorted(includes):
        circle = {other for other in reach[module] if module in reach.get(other, ())}
        if len(circle) > 1 and circle not in circles:
            circles.append(circle)
    unknown = [sorted(circle) for circle in circles if circle not in CIRCLES]
    assert not unknown, "\n".join(f"each includes the next, in some order: {circle}" for circle in unknown)
    opened = [circle for circle in CIRCLES if circle not in circles]
    assert not opened, f"no circle any more: {opened}"


def test_programs_do_not_include_each_other():
    programs = {"nsregd", "nsregc", "nsregctl"}
    wrong = [f"{path} includes {header}" for path in SOURCES for header in
             re.findall(r'^#include "([^"]+)"', text(path), re.M)
             if header.split("/")[0] in programs - {path.split("/")[1]}]
    assert not wrong, "\n".join(wrong)


def test_d_bus_lives_in_bus_files_only():
    # nsregctl is nothing but a view of the bus.
    wrong = [path for path in SOURCES if "sd-bus.h" in text(path) and not path.startswith("src/nsregctl/")
             and not re.search(r"/(bus|resolve|link)[^/]*\.[ch]$", path)]
    assert not wrong, wrong


# Headers of the system that are for certain rooms only.
SYSTEM_HEADERS = {
    r"systemd/sd-event\.h": {"util", "bus", "net", "store", "upstream", "nsregd", "nsregc", "nsregctl"},
    r"sqlite3\.h": {"store"},
    r"ldns/.*": {"dns"},
    r"yaml\.h": {"config"},
    r"libmnl/.*": {"nsregc"},
    r"libsmartcols/.*": {"nsregctl"},
}


def test_libraries_are_used_by_their_rooms_only():
    wrong = [f"{path} includes <{header}>" for path in SOURCES for header in
             re.findall(r"^#include <([^>]+)>", text(path), re.M) for pattern, rooms in SYSTEM_HEADERS.items()
             if re.fullmatch(pattern, header) and path.split("/")[1] not in rooms]
    assert not wrong, "\n".join(wrong)


def test_library_rooms_log_debug_only():
    wrong = []
    for path in SOURCES:
        room = path.split("/")[1]
        if room in ("nsregd", "nsregc", "nsregctl") or path.startswith("src/util/log"):
            continue
        wrong += [f"{path}: {call}" for call in
                  re.findall(r"\blog_(?:error|warning|notice|info|message|event)\(", text(path))]
    assert not wrong, "\n".join(wrong)


def test_what_is_stored_has_somebody_who_learns_how_it_ended():
    wrong = [f"{path}: {call}" for path in SOURCES for call in
             re.findall(r"\(void\)\s*((?:store|write_back)_\w+)", text(path))]
    assert not wrong, wrong


def test_work_in_slices_takes_its_turn():
    # A defer source is pending since it was made: one that its own handler enables again goes before everything.
    wrong = []
    for path in SOURCES:
        for handler in re.findall(r"sd_event_add_defer\([^;]*?,\s*(\w+),\s*\w+\)", text(path)):
            body = re.search(rf"\b{handler}\(sd_event_source \*(\w+),[^)]*\)\n{{(.*?)\n}}", text(path), re.S)
            if body and f"sd_event_source_set_enabled({body[1]}," in body[2]:
                wrong.append(f"{path}: {handler}")
    assert not wrong, wrong


def test_every_file_names_its_license():
    wrong = [path for path in ALL_C if not text(path).startswith("/* SPDX-License-Identifier: LGPL-2.1-or-later */\n")]
    wrong += [path for path in files("tests", ".py", "meson.build") + files("src", "meson.build")
              if "SPDX-License-Identifier: LGPL-2.1-or-later" not in text(path)[:120]]
    assert not wrong, wrong


def test_a_file_holds_one_noun():
    wrong = [f"{path}: {text(path).count(chr(10))} lines" for path in SOURCES if text(path).count("\n") > 800]
    assert not wrong, "\n".join(wrong)


def test_no_task_is_left_in_the_code():
    wrong = [path for path in ALL_C + files("tests", ".py") if re.search(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b", text(path))]
    assert not wrong, wrong


def test_form():
    tool = shutil.which("clang-format")
    if not tool:
        pytest.skip("clang-format is not installed")
    version = subprocess.run([tool, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    if "version 14." not in version:
        pytest.skip("every release of clang-format has a form of its own; 14 is the one that counts")
    run = subprocess.run([tool, "--dry-run", "-Werror", *ALL_C], cwd=ROOT, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, check=False)
    wrong = sorted(set(re.findall(r"^([^:\s]+):\d+:\d+: error", run.stdout, re.M)))
    assert not wrong, "clang-format -i " + " ".join(wrong)


@pytest.mark.parametrize("page", files("man", ".1", ".5", ".8"))
def test_manual_pages_are_clean(page):
    if not shutil.which("man"):
        pytest.skip("man is not installed")
    run = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page], cwd=ROOT,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                         env={**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": ""})
    assert run.returncode == 0 and not run.stderr, run.stderr


def test_every_journal_event_is_explained():
    """Each MESSAGE_ID has an entry in the catalog, each entry an event, and no id is there twice."""
    ids = []
    for program in ("nsregd", "nsregc"):
        for octets in re.findall(r"SD_ID128_MAKE\(([^)]*)\)", text(f"src/{program}/message-ids.h")):
            ids.append(re.sub(r"[,\s]", "", octets))
    catalog = text("units/nsreg.catalog")
    explained = re.findall(r"^-- ([0-9a-f]{32})$", catalog, re.M)
    assert len(ids) > 12 and len(set(ids)) == len(ids) and all(len(one) == 32 for one in ids)
    assert sorted(ids) == sorted(explained)
    for entry in re.split(r"^-- .*$", catalog, flags=re.M)[1:]:
        assert re.match(r"\nSubject: .+\nDefined-By: nsreg\n\n.+", entry), entry
    fields = set(re.findall(r"@(\w+)@", catalog))
    assert fields <= set(re.findall(r"NSREG_[A-Z]+", text("src/util/log.c"))), fields


def test_every_message_id_is_used():
    for program in ("nsregd", "nsregc"):
        header = f"src/{program}/message-ids.h"
        code = "".join(text(path) for path in SOURCES if path.startswith(f"src/{program}/") and path != header)
        for name in re.findall(r"^#define (\w+)\s", text(header), re.M):
            assert re.search(rf"\b{name}\b", code), name
