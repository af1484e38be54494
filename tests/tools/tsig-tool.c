/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A signed exchange with a name server over TCP, for tests against real ones:
 *
 *   tsig-tool KEY-FILE ADDRESS PORT CLOCK-SHIFT ZONE [NAME ADDRESS]...
 *
 * The UPDATE is signed as if the clock were CLOCK-SHIFT seconds ahead. Prints the verdict on the answer, its
 * RCODE and the TSIG error: "good NOERROR 0"; behind "badtime" also how far the server's clock is from ours.
 */

#include "dns/tsig.h"
#include "tests/tools/tool.h"
#include "util/time.h"

static const char *const verdicts[] = {
        [TSIG_GOOD] = "good",       [TSIG_MISSING] = "missing", [TSIG_UNSIGNED] = "unsigned",
        [TSIG_BADTIME] = "badtime", [TSIG_BAD] = "bad",
};

static int connect_to(const char *address_text, const char *port)
{
        struct sockaddr_storage storage;
        struct address address;
        socklen_t size;
        int fd;

        if (address_parse(address_text, &address) < 0)
                die("not an address: %s", address_text);
        size = address_to_sockaddr(&address, (uint16_t) atoi(port), &storage);
        fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *) &storage, size) < 0)
                die("cannot connect: %m");
        return fd;
}

static void read_exactly(int fd, uint8_t *buffer, size_t size)
{
        while (size > 0) {
                ssize_t n = read(fd, buffer, size);

                if (n <= 0)
                        die("the server closed the connection");
                buffer += n;
                size -= (size_t) n;
        }
}

/* "buffer" holds the request behind two octets for its length; the answer takes its place. */
static size_t exchange(int fd, uint8_t *buffer, size_t size)
{
        buffer[0] = (uint8_t) (size >> 8);
        buffer[1] = (uint8_t) size;
        if (write(fd, buffer, size + 2) != (ssize_t) size + 2)
                die("cannot write");

        read_exactly(fd, buffer, 2);
        size = (size_t) (buffer[0] << 8 | buffer[1]);
        read_exactly(fd, buffer, size);
        return size;
}

int main(int argc, char **argv)
{
        uint64_t now = now_usec(CLOCK_REALTIME) / USEC_PER_SEC;
        static uint8_t buffer[2 + DNS_MESSAGE_MAX];
        static struct dns_message message;
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = -1;
        struct tsig_context context;
        struct dns_builder builder;
        enum tsig_verdict verdict;
        struct tsig_key key;
        struct dns_name zone;
        const char *why = NULL;
        struct tsig_answer answer;
        size_t size;

        if (argc < 6)
                die("usage: tsig-tool KEY-FILE ADDRESS PORT CLOCK-SHIFT ZONE [NAME ADDRESS]...");
        text = read_whole(argv[1], &size);
        if (tsig_key_parse_file(text, size, &key, &why) < 0)
                die("%s: %s", argv[1], why);
        now += (uint64_t) atoll(argv[4]);
        zone = parse_name(argv[5]);

        dns_builder_begin(&builder, buffer + 2, DNS_MESSAGE_MAX, (uint16_t) (getpid() ^ 0x5555),
                          DNS_OPCODE_UPDATE << 11);
        dns_builder_question(&builder, &zone, DNS_TYPE_SOA, DNS_CLASS_IN);
        add_addresses(&builder, argc - 6, argv + 6);
        if (dns_builder_end(&builder) < 0 || tsig_sign(&builder, &key, now, TSIG_FUDGE_SEC, &context) < 0)
                die("cannot sign");

        fd = connect_to(argv[2], argv[3]);
        size = exchange(fd, buffer, (size_t) dns_builder_end(&builder));
        if (dns_message_walk(buffer, size, NULL, &message, &why) < 0)
                die("the answer is malformed: %s", why);

        verdict = tsig_verify(&message, &context, &answer);
        printf("%s %s %u", verdicts[verdict], dns_rcode_to_string(dns_message_rcode(&message)), answer.error);
        if (verdict == TSIG_BADTIME)
                printf(" %lld", (long long) (answer.server_time - now));
        printf("\n");
        return EXIT_SUCCESS;
}
