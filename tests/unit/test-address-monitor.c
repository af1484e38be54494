/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "nsregc/address.h"

/* What the kernel answers, spoilt on its way: this program's recvfrom() goes before the library's. */
static bool dumps_fail;
static unsigned n_spoilt;
/* This dump (the first is 1) is told as interrupted: something changed while it was being made. */
static unsigned interrupted_dump, n_dumps;
static uint32_t last_dump;

static void count_dumps(struct nlmsghdr *header, ssize_t size)
{
        for (unsigned left = (unsigned) size; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
                if (header->nlmsg_seq == 0)
                        continue;
                n_dumps += header->nlmsg_seq != last_dump;
                last_dump = header->nlmsg_seq;
                if (n_dumps == interrupted_dump)
                        header->nlmsg_flags |= NLM_F_DUMP_INTR;
        }
}

ssize_t recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *from, socklen_t *length)
{
        ssize_t (*real)(int, void *, size_t, int, struct sockaddr *, socklen_t *);
        struct nlmsghdr *header = buffer;
        ssize_t n;

        *(void **) &real = dlsym(RTLD_NEXT, "recvfrom");
        n = real(fd, buffer, size, flags, from, length);
        if (n >= (ssize_t) sizeof(*header) && dumps_fail && header->nlmsg_seq != 0) {
                header->nlmsg_type = NLMSG_ERROR;
                header->nlmsg_len = sizeof(*header) + sizeof(struct nlmsgerr);
                *(struct nlmsgerr *) NLMSG_DATA(header) = (struct nlmsgerr){ .error = -EPERM };
                n_spoilt++;
                return header->nlmsg_len;
        }
        if (n >= (ssize_t) sizeof(*header))
                count_dumps(header, n);
        return n;
}

/* So does its reallocarray(), which the tables of addresses grow by. */
static bool memory_fails;
static unsigned n_denied;

/* Libraries get what they ask for. */
static bool is_ours(void *caller)
{
        Dl_info of_caller, of_us;

        return dladdr(caller, &of_caller) && dladdr((void *) &memory_fails, &of_us) &&
               of_caller.dli_fbase == of_us.dli_fbase;
}

void *reallocarray(void *memory, size_t n, size_t size)
{
        size_t bytes;

        if (memory_fails && is_ours(__builtin_return_address(0))) {
                n_denied++;
                errno = ENOMEM;
                return NULL;
        }
        assert_false(__builtin_mul_overflow(n, size, &bytes));
        return realloc(memory, bytes);
}

static void on_changed(void *userdata)
{
        ++*(unsigned *) userdata;
}

static void run_for(sd_event *event, usec_t span)
{
        usec_t until = now_usec(CLOCK_MONOTONIC) + span, now;

        while ((now = now_usec(CLOCK_MONOTONIC)) < until)
                assert_true(sd_event_run(event, until - now) >= 0);
}

/* Nothing can be learnt as long as "fails" is set: it is asked again, so often; and what is there is seen
 * when that has an end. */
static void run_trouble(bool *fails, const unsigned *n_asked, unsigned n_max)
{
        static const struct string_list interfaces;
        static const struct prefix_list exclude;
        struct address_rules rules = { .interfaces = &interfaces, .exclude_subnets = &exclude };
        struct address_monitor *monitor;
        unsigned n_changes = 0;
        sd_event *event;

        assert_int_equal(sd_event_new(&event), 0);
        *fails = true;
        assert_int_equal(address_monitor_new(event, &rules, on_changed, &n_changes, &monitor), 0);
        run_for(event, 3 * USEC_PER_SEC);
        assert_in_range(*n_asked, 1, n_max);
        assert_int_equal(n_changes, 0);

        *fails = false;
        for (usec_t until = now_usec(CLOCK_MONOTONIC) + 20 * USEC_PER_SEC;
             n_changes == 0 && now_usec(CLOCK_MONOTONIC) < until;)
                run_for(event, 100 * USEC_PER_MSEC);
        assert_int_equal(n_changes, 1);
        address_monitor_free(monitor);
        sd_event_unref(event);
}

/* A dump that always fails is asked for again, less and less often, and not in a circle. */
static void test_dumps_that_fail(void **state)
{
        run_trouble(&dumps_fail, &n_spoilt, 8);
        assert_true(n_spoilt >= 2);
}

/* Memory that is short for what a dump tells: once for each link and address there is, in a handful of dumps.
 */
static void test_no_memory(void **state)
{
        run_trouble(&memory_fails, &n_denied, 1000);
}

/* What a dump says that was interrupted is not believed: it is made again, before anything is told. */
static void test_interrupted_dumps(void **state)
{
        for (unsigned dump = 1; dump <= 2; dump++) {
                static const struct string_list interfaces;
                static const struct prefix_list exclude;
                struct address_rules rules = { .interfaces = &interfaces, .exclude_subnets = &exclude };
                struct address_monitor *monitor;
                unsigned n_changes = 0;
                sd_event *event;

                n_dumps = 0;
                interrupted_dump = dump;
                assert_int_equal(sd_event_new(&event), 0);
                assert_int_equal(address_monitor_new(event, &rules, on_changed, &n_changes, &monitor), 0);
                for (usec_t until = now_usec(CLOCK_MONOTONIC) + 20 * USEC_PER_SEC;
                     n_changes == 0 && now_usec(CLOCK_MONOTONIC) < until;)
                        assert_true(sd_event_run(event, 100 * USEC_PER_MSEC) >= 0);
                assert_int_equal(n_changes, 1);
                /* Links and addresses, and what was interrupted before that. */
                assert_true(n_dumps >= 2 + dump);
                address_monitor_free(monitor);
                sd_event_unref(event);
        }
        interrupted_dump = 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_dumps_that_fail),
                cmocka_unit_test(test_no_memory),
                cmocka_unit_test(test_interrupted_dumps),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
