/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is well-formed and yet cannot be meant: each is told with its place and what to write instead. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/files.h"
#include "config/nsregc-config.h"
#include "config/nsregd-config.h"
#include "util/file.h"

struct mistake {
        const char *text;
        const char *expected; /* the whole of the errors, or warnings */
};

#define ZONE(keys)     "zones: {d.example: {" keys "}}\n"
#define UPSTREAM(keys) ZONE("upstreams: [{type: nsupdate, zone: d.example, " keys "}]")
#define AT(column)     "nsregd.yaml:1:" #column ": zones.d.example."
#define REVERSE        AT(37) "reverse-zones[0]: "
#define NETS           AT(36) "allowed-nets[0]: "
#define HOST           AT(77) "upstreams[0].hostname: "

static const struct mistake reverse_zones[] = {
        { ZONE("reverse-zones: [256.in-addr.arpa]"),
          REVERSE "\"256.in-addr.arpa\": \"256\" is no octet (0 to 255) of an address" },
        { ZONE("reverse-zones: [010.in-addr.arpa]"),
          REVERSE "\"010.in-addr.arpa\": \"010\" is no octet (0 to 255) of an address" },
        { ZONE("reverse-zones: [lan.168.192.in-addr.arpa]"),
          REVERSE "\"lan.168.192.in-addr.arpa\": \"lan\" is no octet (0 to 255) of an address" },
        { ZONE("reverse-zones: [5.4.3.2.1.in-addr.arpa]"),
          REVERSE "\"5.4.3.2.1.in-addr.arpa\": more labels than an address has" },
        { ZONE("reverse-zones: [g.ip6.arpa]"), REVERSE
          "\"g.ip6.arpa\": \"g\" is no hexadecimal digit; each digit of the address is a label, as in "
          "0.0.d.f.ip6.arpa" },
        { ZONE("reverse-zones: [fd00.ip6.arpa]"),
          REVERSE "\"fd00.ip6.arpa\": \"fd00\" is no hexadecimal digit; each digit of the address is a "
                  "label, as in 0.0.d.f.ip6.arpa" },
        { ZONE("reverse-zones: [0-63.2.0.192.in-addr.arpa]"),
          REVERSE "\"0-63.2.0.192.in-addr.arpa\": child zones (RFC 2317) are not served: PTR records go to "
                  "the addresses' own names; name the zone that holds these, such as 2.0.192.in-addr.arpa." },
        { ZONE("reverse-zones: [0/26.2.0.192.in-addr.arpa.]"),
          REVERSE "\"0/26.2.0.192.in-addr.arpa.\": child zones (RFC 2317) are not served: PTR records go to "
                  "the addresses' own names; name the zone that holds these, such as 2.0.192.in-addr.arpa." },
        { ZONE("reverse-zones: [5.0/26.2.0.192.in-addr.arpa]"),
          REVERSE "\"5.0/26.2.0.192.in-addr.arpa\": child zones (RFC 2317) are not served: PTR records go to "
                  "the addresses' own names; name the zone that holds these, such as 2.0.192.in-addr.arpa." },
        { "zones: {d.example: {upstreams: [{type: builtin, reverse-zones: [300.in-addr.arpa]}]}}\n",
          AT(65) "upstreams[0].reverse-zones[0]: \"300.in-addr.arpa\": \"300\" is no octet (0 to 255) of an "
                 "address" },
};

static const struct mistake names[] = {
        { "zones: {a b.test: {}}\n", "nsregd.yaml:1:9: zones.a b.test: letters, "
                                     "digits, hyphens and underscores are wanted" },
        { "zones: {\"a,b.test\": {}}\n", "nsregd.yaml:1:9: zones.a,b.test: letters, "
                                         "digits, hyphens and underscores are wanted" },
        { "zones: {'*.test': {}}\n", "nsregd.yaml:1:9: zones.*.test: letters, "
                                     "digits, hyphens and underscores are wanted" },
        { "zones: {a\\032b.test: {}}\n", "nsregd.yaml:1:9: zones.a\\092032b.test: "
                                         "letters, digits, hyphens and underscores are wanted" },
        { "zones: {bücher.example: {}}\n",
          "nsregd.yaml:1:9: zones.b\\195\\188cher.example: not in the form that is used in DNS: write "
          "xn--bcher-kva.example" },
        { "server-name: 他们为什么不说中文.example\n",
          "nsregd.yaml:1:14: server-name: \"\\228\\187\\150\\228\\187\\172\\228\\184\\186\\228\\187\\128"
          "\\228\\185\\136\\228\\184\\141\\232\\175\\180\\228\\184\\173...\": not in the form that is used "
          "in DNS: "
          "write xn--ihqwcrb4cv8a8dqg056pqjye.example" },
        { "server-name: 3年B組金八先生\n",
          "nsregd.yaml:1:14: server-name: "
          "\"3\\229\\185\\180B\\231\\181\\132\\233\\135\\145\\229\\133\\171\\229\\133\\136\\231\\148\\159\": "
          "not in the form that is used in DNS: write xn--3b-ww4c5e180e575a65lsy2b" },
        { "server-name: Pročprostěnemluvíčesky\n",
          "nsregd.yaml:1:14: server-name: \"Pro\\196\\141prost\\196\\155nemluv\\195\\173\\196\\141esky\": "
          "not "
          "in the form that is used in DNS: write xn--proprostnemluvesky-uyb24dma41a" },
        /* Composed of a letter and a mark. */
        { "server-name: bu\xcc\x88"
          "cher.example\n",
          "nsregd.yaml:1:14: server-name: \"bu\\204\\136cher.example\": not in the form that is used in DNS: "
          "see "
          "idn2(1)" },
        { "server-name: Bücher.Example.\n",
          "nsregd.yaml:1:14: server-name: \"B\\195\\188cher.Example.\": not in the form that is used in DNS: "
          "write xn--bcher-kva.example." },
        { "server-name: a b.test\n", "nsregd.yaml:1:14: server-name: \"a b.test\": letters, digits, hyphens "
                                     "and underscores are wanted" },
        { "zones: {d.example: {upstreams: [{type: nsupdate, hostname: h, zone: пример.example}]}}\n",
          AT(69) "upstreams[0].zone: "
                 "\"\\208\\191\\209\\128\\208\\184\\208\\188\\208\\181\\209\\128.example\": "
                 "not in the form that is used in DNS: write xn--e1afmkfd.example" },
        { UPSTREAM("tsig-name: a b, hostname: h"),
          AT(78) "upstreams[0].tsig-name: \"a b\": a name without spaces is wanted" },
        { ZONE("reserved-names: [drucker, 'büro*']"),
          AT(47) "reserved-names[1]: \"b\\195\\188ro*\": patterns are matched with the form that is used "
                 "in DNS, which is ASCII" },
        { ZONE("reserved-names: [büro]"),
          AT(38) "reserved-names[0]: \"b\\195\\188ro\": not in the form that is used in DNS: write "
                 "xn--bro-hoa" },
        { ZONE("reserved-names: ['[a-']"),
          AT(38) "reserved-names[0]: \"[a-\": a pattern with a bracket that is not closed" },
        { ZONE("reserved-names: ['x[!]']"),
          AT(38) "reserved-names[0]: \"x[!]\": a pattern with a bracket that is not closed" },
        { ZONE("reserved-names: ['[z-a]x']"),
          AT(38) "reserved-names[0]: \"[z-a]x\": a pattern with a range that holds nothing" },
        { ZONE("reserved-names: ['a\\']"),
          AT(38) "reserved-names[0]: \"a\\092\": a pattern that ends in a backslash" },
};

static const struct mistake nets[] = {
        { ZONE("allowed-nets: ['::ffff:10.0.0.0/104']"),
          NETS "\"::ffff:10.0.0.0/104\": IPv4 networks are written as such: 10.0.0.0/8" },
        { ZONE("allowed-nets: ['::ffff:10.0.0.1']"),
          NETS "\"::ffff:10.0.0.1\": IPv4 networks are written as such: 10.0.0.1/32" },
        { ZONE("query-nets: ['::ffff:0:0/96']"),
          AT(34) "query-nets[0]: \"::ffff:0:0/96\": IPv4 networks are written as such: 0.0.0.0/0" },
};

static const struct mistake hosts[] = {
        { UPSTREAM("hostname: '[::1]'"), HOST "\"[::1]\": an address stands without brackets here: \"::1\"" },
        { UPSTREAM("hostname: '[::1]:53'"),
          HOST "\"[::1]:53\": the port has a key of its own; \"::1\" is wanted here" },
        { UPSTREAM("hostname: '192.168.0.53:53'"),
          HOST "\"192.168.0.53:53\": the port has a key of its own; \"192.168.0.53\" is wanted here" },
        { UPSTREAM("hostname: 'ns.example@53'"),
          HOST "\"ns.example@53\": the port has a key of its own; \"ns.example\" is wanted here" },
        { UPSTREAM("hostname: 192.168.0.256"), HOST "\"192.168.0.256\" is not a host name or an address" },
        { UPSTREAM("hostname: 192.168.0"), HOST "\"192.168.0\" is not a host name or an address" },
        { UPSTREAM("hostname: '::g'"), HOST "\"::g\" is not a host name or an address" },
        { UPSTREAM("hostname: a b"), HOST "\"a b\" is not a host name or an address" },
        { UPSTREAM("hostname: a..b"), HOST "\"a..b\" is not a host name or an address" },
        { UPSTREAM("hostname: 10.0.0.0/8"), HOST "\"10.0.0.0/8\" is not a host name or an address" },
        { UPSTREAM("hostname: bücher"),
          HOST "\"b\\195\\188cher\": not in the form that is used in DNS: write xn--bcher-kva" },
        { ZONE("upstreams: [{type: unbound, hostname: '[::1]'}]"),
          AT(59) "upstreams[0].hostname: \"[::1]\": an address stands without brackets here: \"::1\"" },
        { "listen-addr: '[::]'\n",
          "nsregd.yaml:1:14: listen-addr: \"[::]\": an address stands without brackets here: \"::\"" },
        { "listen-addr: '*'\n", "nsregd.yaml:1:14: listen-addr: \"*\": everywhere is written as \"::\"" },
        { "listen-addr: 0.0.0.0:8053\n",
          "nsregd.yaml:1:14: listen-addr: \"0.0.0.0:8053\": the port has a key "
          "of its own; \"0.0.0.0\" is wanted here" },
};

static const struct mistake client[] = {
        { "name: büro\n",
          "nsregc.yaml:1:7: name: \"b\\195\\188ro\": not in the form that is used in DNS: write "
          "xn--bro-hoa" },
        { "zones: [a b.test]\n", "nsregc.yaml:1:9: zones[0]: \"a b.test\": letters, digits, hyphens and "
                                 "underscores are wanted" },
        { "zones: [bücher.example]\n",
          "nsregc.yaml:1:9: zones[0]: \"b\\195\\188cher.example\": not in the form "
          "that is used in DNS: write xn--bcher-kva.example" },
        { "interfaces: ['[a-']\n",
          "nsregc.yaml:1:14: interfaces[0]: \"[a-\": a pattern with a bracket that is "
          "not closed" },
        { "interfaces: ['!eth[0']\n", "nsregc.yaml:1:14: interfaces[0]: \"!eth[0\": a pattern with a bracket "
                                      "that is not closed" },
        { "interfaces: [eth0, '!']\n",
          "nsregc.yaml:1:20: interfaces[1]: \"!\": no interface after the mark" },
        { "exclude-subnets: ['::ffff:10.0.0.0/104']\n",
          "nsregc.yaml:1:19: exclude-subnets[0]: \"::ffff:10.0.0.0/104\": IPv4 networks are written as such: "
          "10.0.0.0/8" },
        { "extra-addresses: ['::ffff:10.0.0.1']\n",
          "nsregc.yaml:1:19: extra-addresses[0]: \"::ffff:10.0.0.1\": "
          "IPv4 addresses are written as such: 10.0.0.1" },
        { "extra-addresses: [0.0.0.0, '::', 224.0.0.1, 'ff02::1', 255.255.255.255]\n",
          "nsregc.yaml:1:19: extra-addresses[0]: \"0.0.0.0\": no address that a machine can have\n"
          "nsregc.yaml:1:28: extra-addresses[1]: \"::\": no address that a machine can have\n"
          "nsregc.yaml:1:34: extra-addresses[2]: \"224.0.0.1\": no address that a machine can have\n"
          "nsregc.yaml:1:45: extra-addresses[3]: \"ff02::1\": no address that a machine can have\n"
          "nsregc.yaml:1:56: extra-addresses[4]: \"255.255.255.255\": no address that a machine can have" },
        { "dns-server: 192.168.0.1:8053\n",
          "nsregc.yaml:1:13: dns-server: \"192.168.0.1:8053\": the port stands "
          "behind an @: 192.168.0.1@8053" },
        { "dns-server: '[::1]:8053'\n",
          "nsregc.yaml:1:13: dns-server: \"[::1]:8053\": the port stands behind an @: ::1@8053" },
        { "dns-server: ns.example:53\n",
          "nsregc.yaml:1:13: dns-server: \"ns.example:53\": the port stands behind an @: ns.example@53" },
};

/* Taken, since each may be meant after all. */
static const struct mistake warnings[] = {
        { ZONE("adopt-until: 2020-02-02"), AT(34) "adopt-until: in the past: nothing is adopted any more" },
        { ZONE("allowed-nets: [192.168.0.1/24]"),
          NETS "\"192.168.0.1/24\": an address inside a network; 192.168.0.0/24 is taken" },
        { ZONE("allowed-nets: ['fd00::1/64']"),
          NETS "\"fd00::1/64\": an address inside a network; fd00::/64 is taken" },
        { ZONE("reverse-zones: [192.168.in-addr.arpa]"), REVERSE
          "no address of allowed-nets lies in 168.192.0.0/16, the network of this zone (192.168.0.0/16 "
          "is that of 168.192.in-addr.arpa.)" },
        { ZONE("reverse-zones: [f.d.ip6.arpa]"), REVERSE
          "no address of allowed-nets lies in df00::/8, the network of this zone (fd00::/8 is that of "
          "d.f.ip6.arpa.)" },
        { ZONE("reverse-zones: [2.0.192.in-addr.arpa]"),
          REVERSE "no address of allowed-nets lies in 192.0.2.0/24, the network of this zone" },
        { ZONE("upstreams: [{type: builtin, reverse-zones: [10.in-addr.arpa, 2.0.192.in-addr.arpa]}]"),
          AT(82) "upstreams[0].reverse-zones[1]: no address of allowed-nets lies in 192.0.2.0/24, the "
                 "network "
                 "of this zone" },
        { ZONE("allow-any-addr: true, reverse-zones: [2.0.192.in-addr.arpa, 192.168.in-addr.arpa]"),
          AT(81) "reverse-zones[1]: no address of allowed-nets lies in 168.192.0.0/16, the network of this "
                 "zone "
                 "(192.168.0.0/16 is that of 168.192.in-addr.arpa.)" },
};

static const struct mistake client_warnings[] = {
        { "exclude-subnets: [192.168.0.1/24]\n",
          "nsregc.yaml:1:19: exclude-subnets[0]: \"192.168.0.1/24\": an "
          "address inside a network; 192.168.0.0/24 is taken" },
};

static const struct mistake dates[] = {
        { ZONE("adopt-until: soon"), AT(34) "adopt-until: \"soon\" is not a date such as 2026-12-31" },
        { ZONE("adopt-until: 2026-12"), AT(34) "adopt-until: \"2026-12\" is not a date such as 2026-12-31" },
        { ZONE("adopt-until: 2026-13-01"),
          AT(34) "adopt-until: \"2026-13-01\" is not a date such as 2026-12-31" },
        { ZONE("adopt-until: 1969-12-31"),
          AT(34) "adopt-until: \"1969-12-31\" is not a date such as 2026-12-31" },
};

/* What looks like some of the above and is right. */
static const char *const right[] = {
        ZONE("reverse-zones: [10.in-addr.arpa, 168.192.in-addr.arpa, 5.1.168.192.in-addr.arpa, "
             "d.f.ip6.arpa]"),
        ZONE("reverse-zones: [in-addr.arpa, ip6.arpa]"),
        ZONE("reverse-zones: [2.0.192.in-addr.arpa], allowed-nets: [192.0.2.64/26]"),
        ZONE("reverse-zones: [8.b.d.0.1.0.0.2.ip6.arpa], allow-any-addr: true"),
        ZONE("reserved-names: ['ns*', 'a?', '[a-c]*', '[]x]', '[!a-z]*', '[[:digit:]]*', xn--bcher-kva]"),
        ZONE("allowed-nets: ['::/1', 10.0.0.1, 'fd00::/8', '0.0.0.0/1', '::ff/128']"),
        "zones: {_x.d-1.example: {}, 2.0.192.in-addr.arpa: {}}\n",
        "server-name: ns_1.xn--bcher-kva.example\nlisten-addr: fe80::1%eth0\n",
        "listen-addr: localhost\n",
        ZONE("upstreams: [{type: unbound, hostname: ns_1.example.}]"),
};

static const char *const client_right[] = {
        "interfaces: ['!docker*', 'eth[0-9]', '[!v]*']\nexclude-subnets: [192.168.0.0/24]\n",
        "dns-server: '::1'\nzones: [_x.example, home.arpa.]\n",
        "dns-server: fe80::1%eth0@53\nextra-addresses: [10.0.0.1, 'fd00::1']\n",
};

static unsigned differs(const struct mistake *mistake, const char *got)
{
        if (got && streq(got, mistake->expected))
                return 0;
        print_error("for: %s\nexpected: %s\ngot: %s\n", mistake->text, mistake->expected, got ?: "");
        return 1;
}

static unsigned judge(const struct mistake *mistake, bool is_error)
{
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        _cleanup_(nsregd_config_freep) struct nsregd_config *config = NULL;
        int r = nsregd_config_parse("nsregd.yaml", mistake->text, strlen(mistake->text), &config, &error);

        assert_true(r == 0 || r == -EINVAL);
        return differs(mistake, is_error ? error.text : error.text ?: error.warnings);
}

static unsigned judge_client(const struct mistake *mistake, bool is_error)
{
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        _cleanup_(nsregc_config_freep) struct nsregc_config *config = NULL;
        int r = nsregc_config_parse("nsregc.yaml", mistake->text, strlen(mistake->text), &config, &error);

        assert_true(r == 0 || r == -EINVAL);
        return differs(mistake, is_error ? error.text : error.text ?: error.warnings);
}

/* All are judged, and all that differ are told, before the test fails. */
static void judge_all(const struct mistake *mistakes, size_t n, bool is_error,
                      unsigned (*judge_one)(const struct mistake *, bool))
{
        unsigned n_different = 0;

        for (size_t i = 0; i < n; i++)
                n_different += judge_one(&mistakes[i], is_error);
        assert_int_equal(n_different, 0);
}

static void test_reverse_zones(void **state)
{
        judge_all(reverse_zones, ELEMENTSOF(reverse_zones), true, judge);
}

static void test_names(void **state)
{
        judge_all(names, ELEMENTSOF(names), true, judge);
}

static void test_nets(void **state)
{
        judge_all(nets, ELEMENTSOF(nets), true, judge);
}

static void test_hosts(void **state)
{
        judge_all(hosts, ELEMENTSOF(hosts), true, judge);
}

static void test_client(void **state)
{
        judge_all(client, ELEMENTSOF(client), true, judge_client);
}

static void test_dates(void **state)
{
        static const struct {
                const char *text;
                const char *printed;
        } good[] = {
                { ZONE("adopt-until: 2999-12-31"), "adopt-until: 2999-12-31T00:00:00Z" },
                { ZONE("adopt-until: 2999-12-31 23:59"), "adopt-until: 2999-12-31T23:59:00Z" },
                { ZONE("adopt-until: 2999-12-31T01:02:03Z"), "adopt-until: 2999-12-31T01:02:03Z" },
        };

        judge_all(dates, ELEMENTSOF(dates), true, judge);
        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
                _cleanup_(nsregd_config_freep) struct nsregd_config *config = NULL;
                char printed[8192];
                FILE *out = fmemopen(printed, sizeof(printed), "w");

                assert_int_equal(nsregd_config_parse("nsregd.yaml", good[i].text, strlen(good[i].text),
                                                     &config, &error),
                                 0);
                assert_null(error.warnings);
                nsregd_config_print(config, out);
                fclose(out);
                assert_non_null(strstr(printed, good[i].printed));
        }
}

static void test_warnings(void **state)
{
        judge_all(warnings, ELEMENTSOF(warnings), false, judge);
        judge_all(client_warnings, ELEMENTSOF(client_warnings), false, judge_client);
}

static void test_right(void **state)
{
        for (size_t i = 0; i < ELEMENTSOF(right); i++) {
                struct mistake none = { right[i], "" };
                _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
                _cleanup_(nsregd_config_freep) struct nsregd_config *config = NULL;
                int r = nsregd_config_parse("nsregd.yaml", right[i], strlen(right[i]), &config, &error);

                assert_int_equal(differs(&none, error.text ?: error.warnings ?: ""), 0);
                assert_int_equal(r, 0);
        }
        for (size_t i = 0; i < ELEMENTSOF(client_right); i++) {
                struct mistake none = { client_right[i], "" };
                _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
                _cleanup_(nsregc_config_freep) struct nsregc_config *config = NULL;
                int r = nsregc_config_parse("nsregc.yaml", client_right[i], strlen(client_right[i]), &config,
                                            &error);

                assert_int_equal(differs(&none, error.text ?: error.warnings ?: ""), 0);
                assert_int_equal(r, 0);
        }
}

/* -- files */

static int make_tree(void **state)
{
        static char root[64];

        strcpy(root, "/tmp/test-config-XXXXXX");
        assert_non_null(mkdtemp(root));
        *state = root;
        return 0;
}

static int remove_tree(void **state)
{
        char command[100];

        snprintf(command, sizeof(command), "rm -rf %s", (const char *) *state);
        return system(command) == 0 ? 0 : -1;
}

static void write_in(const char *root, const char *name, const char *text, mode_t mode)
{
        _cleanup_free_ char *path = path_join(root, name);

        assert_return_code(file_write_atomic(path, text, strlen(text), mode), 0);
}

static void mask_in(const char *root, const char *name)
{
        _cleanup_free_ char *path = path_join(root, name);

        assert_return_code(symlink("/dev/null", path), 0);
}

static void test_readable_key_file(void **state)
{
        static const char key[] = "key \"k\" {\n\talgorithm hmac-sha256;\n\tsecret \"c2VjcmV0\";\n};\n";
        const char *root = *state;
        _cleanup_free_ char *text = NULL, *expected = NULL;

        /* The way to it counts as well: mkdtemp() closes it. */
        write_in(root, "tsig.key", key, 0644);
        assert_return_code(chmod(root, 0755), 0);
        assert_true(asprintf(&text, UPSTREAM("hostname: h, tsig-key-file: %s/tsig.key"), root) > 0);
        assert_true(asprintf(&expected,
                             AT(95) "upstreams[0].tsig-key-file: %s/tsig.key is a secret that everybody can "
                                    "read (chmod o-r)",
                             root) > 0);
        assert_int_equal(judge(&(struct mistake){ text, expected }, false), 0);
        for (unsigned closed = 0; closed < 2; closed++) {
                _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
                _cleanup_(nsregd_config_freep) struct nsregd_config *config = NULL;

                assert_return_code(chmod(root, closed ? 0750 : 0755), 0);
                write_in(root, "tsig.key", key, closed ? 0644 : 0640);
                assert_int_equal(nsregd_config_parse("nsregd.yaml", text, strlen(text), &config, &error), 0);
                assert_null(error.warnings);
        }
}

static void test_masked_drop_in(void **state)
{
        const char *root = *state;
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        _cleanup_(nsregd_config_freep) struct nsregd_config *config = NULL;
        _cleanup_free_ char *path = path_join(root, "nsregd.yaml"),
                            *drop_ins = path_join(root, "nsregd.yaml.d");

        assert_return_code(directory_ensure(drop_ins, 0755), 0);
        write_in(root, "nsregd.yaml", "listen-port: 1\n", 0644);
        write_in(drop_ins, "10-a.yaml", "listen-port: 2\n", 0644);
        mask_in(drop_ins, "20-b.yaml");
        assert_return_code(nsregd_config_load(path, &config, &error), 0);
        assert_null(error.text);
        assert_int_equal(config->listen_port, 2);
        assert_int_equal(config->files.n_items, 2);
}

static void test_masked_elsewhere(void **state)
{
        const char *root = *state;
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        _cleanup_(config_document_freep) struct config_document *document = NULL, *none = NULL;
        _cleanup_free_ char *etc = path_join(root, "etc"), *usr = path_join(root, "usr"),
                            *etc_drop_ins = path_join(root, "etc/x.yaml.d"),
                            *usr_drop_ins = path_join(root, "usr/x.yaml.d");
        const char *directories[] = { etc, usr, NULL };

        assert_return_code(directory_ensure(etc, 0755), 0);
        assert_return_code(directory_ensure(usr, 0755), 0);
        assert_return_code(directory_ensure(etc_drop_ins, 0755), 0);
        assert_return_code(directory_ensure(usr_drop_ins, 0755), 0);
        write_in(usr_drop_ins, "a.yaml", "a: usr\n", 0644);
        write_in(usr_drop_ins, "b.yaml", "b: usr\n", 0644);
        mask_in(etc_drop_ins, "a.yaml");
        write_in(usr, "x.yaml", "main: usr\n", 0644);
        assert_return_code(config_files_load_directories(directories, "x.yaml", &document, &error), 0);
        assert_null(config_node_find(document->root, "a"));
        assert_non_null(config_node_find(document->root, "b"));
        assert_non_null(config_node_find(document->root, "main"));

        /* The file itself: nothing of it is left, and nothing that it hides. */
        mask_in(etc, "x.yaml");
        mask_in(etc_drop_ins, "b.yaml");
        assert_return_code(config_files_load_directories(directories, "x.yaml", &none, &error), 0);
        assert_null(none->root);
        assert_null(none->sources);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reverse_zones),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_nets),
                cmocka_unit_test(test_hosts),
                cmocka_unit_test(test_client),
                cmocka_unit_test(test_dates),
                cmocka_unit_test(test_warnings),
                cmocka_unit_test(test_right),
                cmocka_unit_test_setup_teardown(test_readable_key_file, make_tree, remove_tree),
                cmocka_unit_test_setup_teardown(test_masked_drop_in, make_tree, remove_tree),
                cmocka_unit_test_setup_teardown(test_masked_elsewhere, make_tree, remove_tree),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
