/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where nsregd listens: the sockets that systemd passed, else its own. */

struct manager;

/* 0 or -errno; says what went wrong. */
int listener_open(struct manager *manager);
