#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# After an installation onto the running system: users, directories, and everybody who reads what was installed.
# Nothing is enabled and nothing started.
[ -z "${DESTDIR-}" ] || exit 0
for program in nsregd nsregc; do
        systemd-sysusers $program.conf 2>/dev/null || :
        systemd-tmpfiles --create $program.conf 2>/dev/null || :
done
journalctl --update-catalog 2>/dev/null || :
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload || :
busctl --quiet call org.freedesktop.DBus / org.freedesktop.DBus ReloadConfig 2>/dev/null || :
