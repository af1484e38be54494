/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Says when the state directory comes from another machine: a copied disk has a copied key, and two machines
 * then change one name. Nothing else follows from it, for a machine may have a new id at each boot. */
void machine_note(const char *state, const char *key_source);
