/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/machine-note.h"

#include <systemd/sd-id128.h>

#include "util/file.h"
#include "util/log.h"

/* The machine's id itself is nobody's business. */
#define APPLICATION SD_ID128_MAKE(b1, 5e, 0c, 27, 93, 4d, 4f, 6a, 8f, 27, 6d, 1b, e0, 52, 7a, 94)
#define FILE_MAX    256

void machine_note(const char *state, const char *key_source)
{
        _cleanup_free_ char *path = path_join(state, "machine"), *known = NULL;
        char text[SD_ID128_STRING_MAX];
        sd_id128_t id;
        size_t size;
        int r;

        if (!path || sd_id128_get_machine_app_specific(APPLICATION, &id) < 0)
                return;
        sd_id128_to_string(id, text);
        r = file_read(path, FILE_MAX, &known, &size);
        if (r >= 0 && strncmp(known, text, strlen(text)) == 0)
                return;
        if (r >= 0)
                log_notice(
                        "The key %s was used under another machine id before. If this machine is a copy of "
                        "another one, both change the same name: give one of them a key of its own",
                        key_source ?: "of this machine");
        r = file_write_atomic(path, text, strlen(text), 0600);
        if (r < 0)
                log_debug("%s: %s", path, strerror(-r));
}
