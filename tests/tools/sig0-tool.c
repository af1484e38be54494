/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SIG(0) on the command line, for tests against other programs:
 *
 *   sig0-tool generate ALGORITHM OWNER BASE         writes BASE.key and BASE.private
 *   sig0-tool sign BASE ZONE [NAME ADDRESS]...      an UPDATE with the KEY, signed, to stdout
 *   sig0-tool verify KEY-FILE MESSAGE-FILE          prints the signer; exit status 1 when it does not verify
 */

#include "dns/edns.h"
#include "dns/sig0.h"
#include "tests/tools/tool.h"
#include "util/time.h"

static struct dns_key read_key(const char *path, struct dns_name *ret_owner)
{
        _cleanup_free_ char *text = read_whole(path, NULL);
        struct dns_key key;

        if (dns_key_parse_rr(text, ret_owner, &key) < 0)
                die("%s: not a KEY record", path);
        return key;
}

static void with_suffix(char path[static 4096], const char *base, const char *suffix)
{
        snprintf(path, 4096, "%s%s", base, suffix);
}

static int generate(const char *algorithm, const char *owner_text, const char *base)
{
        _cleanup_(dns_keypair_freep) struct dns_keypair *pair = NULL;
        _cleanup_free_ char *private_text = NULL, *public_text = NULL;
        struct dns_name owner = parse_name(owner_text);
        char path[4096];
        int r;

        r = dns_keypair_generate((uint8_t) dns_algorithm_from_string(algorithm), &pair);
        if (r < 0 || dns_keypair_format(pair, &private_text) < 0 ||
            dns_key_format_rr(&owner, &pair->key, &public_text) < 0)
                die("cannot make a key");

        with_suffix(path, base, ".private");
        if (file_write_atomic(path, private_text, strlen(private_text), 0600) < 0)
                die("%s: cannot be written", path);
        with_suffix(path, base, ".key");
        if (file_write_atomic(path, public_text, strlen(public_text), 0644) < 0)
                die("%s: cannot be written", path);

        printf("%u\n", dns_key_tag(&pair->key));
        return EXIT_SUCCESS;
}

static int sign(const char *base, const char *zone_text, int argc, char **argv)
{
        struct dns_edns edns = {
                .udp_size = DNS_UDP_MAX,
                .lease_form = 8,
                .lease_sec = 7200,
                .key_lease_sec = 1209600,
                .ede_code = DNS_EDE_NONE,
        };
        _cleanup_(dns_keypair_freep) struct dns_keypair *pair = NULL;
        uint64_t now = now_usec(CLOCK_REALTIME) / USEC_PER_SEC;
        _cleanup_free_ char *text = NULL;
        uint8_t buffer[4096], rdata[4 + DNS_KEY_PUBLIC_MAX];
        struct dns_name zone = parse_name(zone_text), owner;
        struct dns_builder builder;
        struct dns_key key;
        char path[4096];
        ssize_t size;
        size_t n;

        with_suffix(path, base, ".key");
        key = read_key(path, &owner);
        with_suffix(path, base, ".private");
        text = read_whole(path, &n);
        if (dns_keypair_parse(text, n, &pair) < 0)
                die("%s: not a private key", path);
        pair->key.flags = key.flags;

        dns_builder_begin(&builder, buffer, sizeof(buffer), (uint16_t) now, DNS_OPCODE_UPDATE << 11);
        dns_builder_question(&builder, &zone, DNS_TYPE_SOA, DNS_CLASS_IN);
        add_addresses(&builder, argc, argv);
        n = dns_key_to_rdata(&pair->key, rdata, sizeof(rdata));
        dns_builder_rr(&builder, DNS_SECTION_ADDITIONAL, &owner, DNS_TYPE_KEY, DNS_CLASS_IN, 3600, rdata, n);
        dns_edns_write(&builder, &edns, DNS_RCODE_NOERROR);
        if (dns_sig0_sign(&builder, pair, &owner, now - 300, now + 300) < 0)
                die("cannot sign");

        size = dns_builder_end(&builder);
        if (size < 0 || fwrite(buffer, (size_t) size, 1, stdout) != 1)
                die("cannot write the message");
        return EXIT_SUCCESS;
}

static int verify(const char *key_path, const char *message_path)
{
        static struct dns_message message;
        _cleanup_free_ char *wire = NULL;
        char signer[DNS_NAME_FORMAT_MAX];
        EVP_PKEY *loaded = NULL;
        const char *why = NULL;
        struct dns_name owner;
        struct dns_sig0 sig;
        struct dns_key key;
        size_t size;
        int r;

        key = read_key(key_path, &owner);
        wire = read_whole(message_path, &size);
        r = dns_message_walk((uint8_t *) wire, size, NULL, &message, &why);
        if (r >= 0)
                r = dns_sig0_parse(&message, &sig);
        if (r >= 0)
                r = dns_key_load(&key, &loaded);
        if (r >= 0)
                r = dns_sig0_verify(&message, &sig, loaded);
        EVP_PKEY_free(loaded);
        if (r < 0) {
                printf("refused: %s\n", why ?: strerror(-r));
                return EXIT_FAILURE;
        }
        if (sig.key_tag != dns_key_tag(&key)) {
                printf("refused: key tag is %u\n", sig.key_tag);
                return EXIT_FAILURE;
        }

        printf("%s %s\n", dns_name_format(&sig.signer, signer), dns_algorithm_to_string(sig.algorithm));
        return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
        if (argc == 5 && streq(argv[1], "generate"))
                return generate(argv[2], argv[3], argv[4]);
        if (argc >= 4 && streq(argv[1], "sign"))
                return sign(argv[2], argv[3], argc - 4, argv + 4);
        if (argc == 4 && streq(argv[1], "verify"))
                return verify(argv[2], argv[3]);

        die("usage: sig0-tool generate|sign|verify ...");
}
