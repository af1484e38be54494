/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "config/files.h"
#include "config/nsregc-config.h"
#include "config/nsregd-config.h"
#include "dns/protocol.h"
#include "util/file.h"

static struct nsregd_config *parse_nsregd(const char *text)
{
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        struct nsregd_config *config = NULL;
        int r;

        r = nsregd_config_parse("nsregd.yaml", text, strlen(text), &config, &error);
        if (r < 0)
                fail_msg("%s", error.text);
        return config;
}

static struct nsregc_config *parse_nsregc(const char *text)
{
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        struct nsregc_config *config = NULL;
        int r;

        r = nsregc_config_parse("nsregc.yaml", text, strlen(text), &config, &error);
        if (r < 0)
                fail_msg("%s", error.text);
        return config;
}

static void assert_name(const struct dns_name *name, const char *text)
{
        char buffer[DNS_NAME_FORMAT_MAX];

        assert_string_equal(dns_name_format(name, buffer), text);
}

static void assert_prefixes(const struct prefix_list *list, const char *const *texts)
{
        char buffer[PREFIX_FORMAT_MAX];
        size_t n = 0;

        for (; texts[n]; n++) {
                assert_true(n < list->n_items);
                assert_string_equal(prefix_format(&list->items[n], buffer), texts[n]);
        }
        assert_int_equal(list->n_items, n);
}

struct bad_case {
        const char *text;
        const char *expected; /* the whole of the errors */
};

static const struct bad_case bad_documents[] = {
        { "listen-port: [",
          "nsregd.yaml:2:1: not YAML: while parsing a flow node, did not find expected node "
          "content" },
        { "a: 1\n\tb: 2\n", "nsregd.yaml:2:1: not YAML: while scanning a plain scalar, found a tab character "
                            "that violates indentation" },
        { "listen-addr: \"\xff\"\n", "nsregd.yaml:1:15: not YAML: invalid leading UTF-8 octet" },
        { "- a\n- b\n", "nsregd.yaml:1:1: a list where a table of keys is expected" },
        { "word\n", "nsregd.yaml:1:1: a single value where a table of keys is expected" },
        { "listen-addr: &x localhost\n", "nsregd.yaml:1:14: anchors and aliases are not supported here" },
        { "listen-addr: *x\n", "nsregd.yaml:1:14: anchors and aliases are not supported here" },
        { "*x : 1\n", "nsregd.yaml:1:1: anchors and aliases are not supported here" },
        { "zones:\n  <<: {}\n", "nsregd.yaml:2:3: merge keys are not supported here" },
        { "listen-addr: !!str localhost\n",
          "nsregd.yaml:1:14: tags are not supported here (a value that begins "
          "with \"!\" goes in quotes)" },
        { "? [a]\n: b\n", "nsregd.yaml:1:3: a key must be a single word" },
        { "listen-port: 1\nLISTEN-PORT: 2\n",
          "nsregd.yaml:2:1: duplicate key \"LISTEN-PORT\", first given in line 1" },
        { "zones:\n  d.example: {}\n  D.Example.: {}\n",
          "nsregd.yaml:3:3: duplicate key \"D.Example.\", first given in line 2" },
        { "listen-port: 1\n---\nlisten-port: 2\n", "nsregd.yaml:2:1: a second document in the same file" },
        { "listen-addr: \"a\\0b\"\n", "nsregd.yaml:1:14: a value with a NUL in it" },
        { "a: [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]\n", "nsregd.yaml:1:20: nested too deeply" },
};

static const struct bad_case bad_nsregd[] = {
        { "listen-prot: 1\n", "nsregd.yaml:1:1: listen-prot: unknown key (did you mean \"listen-port\"?)" },
        { "zones:\n  d.example:\n    max-adr-ttl: 1h\n",
          "nsregd.yaml:3:5: zones.d.example.max-adr-ttl: unknown key (did you mean \"max-addr-ttl\"?)" },
        { "colour: blue\n", "nsregd.yaml:1:1: colour: unknown key" },
        { "zones:\n  a.example:\n    upstreams:\n    - {type: nsupdate, hostname: h, zone: example, timeout: "
          "1s}\n"
          "  b.example.:\n    upstreams:\n    - {type: builtin}\n"
          "    - {type: nsupdate, hostname: h, zone: example, timeout: 2s}\n",
          "nsregd.yaml:8:7: upstream 2 of zone b.example. is the same server and zone as upstream 1 of zone "
          "a.example., with another key or other connection settings" },
        { "\"li\\e[31m\": 1\n", "nsregd.yaml:1:1: li\\027[31m: unknown key" },
        { "listen-port: ssh\n", "nsregd.yaml:1:14: listen-port: \"ssh\" is not a port number" },
        { "listen-port: 0\n", "nsregd.yaml:1:14: listen-port: \"0\": out of range (1 to 65535)" },
        { "listen-port: 65536\n", "nsregd.yaml:1:14: listen-port: \"65536\": out of range (1 to 65535)" },
        { "listen-port: 99999999999999999999999\n",
          "nsregd.yaml:1:14: listen-port: \"99999999999999999999999\": out of range (1 to 65535)" },
        { "listen-port: [1, 2]\n", "nsregd.yaml:1:14: listen-port: a list where a port number is expected" },
        { "data-dir: {a: b}\n", "nsregd.yaml:1:11: data-dir: a table of keys where a text is expected" },
        { "listen-addr: {a: b}\n",
          "nsregd.yaml:1:14: listen-addr: a table of keys where a host name or an address is expected" },
        { "server-name: a..b\n", "nsregd.yaml:1:14: server-name: \"a..b\" is not a domain name" },
        { "zones: [d.example]\n", "nsregd.yaml:1:8: zones: a list where a table of names is expected" },
        { "zones:\n  d.example: yes\n",
          "nsregd.yaml:2:14: zones.d.example: a single value where a table of keys is expected" },
        { "zones:\n  .: {}\n", "nsregd.yaml:2:3: zones..: not the name of a zone" },
        { "zones:\n  a..b: {}\n", "nsregd.yaml:2:3: zones.a..b: not the name of a zone" },
        { "zones: {d.example: {max-addr-ttl: 1:30}}\n",
          "nsregd.yaml:1:35: zones.d.example.max-addr-ttl: \"1:30\" is not a time span such as 30s, 1h30m or "
          "6months" },
        { "zones: {d.example: {max-addr-ttl: 0s}}\n", "nsregd.yaml:1:35: zones.d.example.max-addr-ttl: "
                                                      "\"0s\": out of range (1s to 24855d 3h 14min 7s)" },
        { "zones: {d.example: {max-addr-ttl: 1500ms}}\n",
          "nsregd.yaml:1:35: zones.d.example.max-addr-ttl: \"1500ms\": must be whole seconds" },
        { "zones: {d.example: {max-addr-ttl: 10s, min-addr-ttl: 20s}}\n",
          "nsregd.yaml:1:54: zones.d.example.min-addr-ttl: longer than max-addr-ttl" },
        { "zones: {d.example: {allow-any-addr: maybe}}\n",
          "nsregd.yaml:1:37: zones.d.example.allow-any-addr: \"maybe\" is not true or false" },
        { "zones: {d.example: {allow-any-addr: 1}}\n",
          "nsregd.yaml:1:37: zones.d.example.allow-any-addr: \"1\" is not true or false" },
        { "zones: {d.example: {allowed-nets: 10.0.0.0/8}}\n",
          "nsregd.yaml:1:35: zones.d.example.allowed-nets: a single value where a list is expected" },
        { "zones:\n  d.example:\n    allowed-nets:\n    - 10.0.0.0/8\n    - 10.0.0.0/33\n",
          "nsregd.yaml:5:7: zones.d.example.allowed-nets[1]: \"10.0.0.0/33\": a prefix length beyond 32" },
        { "zones: {d.example: {allowed-nets: [10.0.0/8]}}\n",
          "nsregd.yaml:1:36: zones.d.example.allowed-nets[0]: \"10.0.0/8\" is not a network such as "
          "192.168.0.0/16 or fd00::/8" },
        { "zones: {d.example: {allowed-nets: [10.0.0.0/]}}\n",
          "nsregd.yaml:1:36: zones.d.example.allowed-nets[0]: \"10.0.0.0/\" is not a network such as "
          "192.168.0.0/16 or fd00::/8" },
        { "zones: {d.example: {allowed-nets: [[10.0.0.0/8]]}}\n",
          "nsregd.yaml:1:36: zones.d.example.allowed-nets[0]: a list where a network such as 192.168.0.0/16 "
          "or "
          "fd00::/8 is expected" },
        { "zones: {d.example: {allowed-nets: ['']}}\n", "nsregd.yaml:1:36: zones.d.example.allowed-nets[0]: "
                                                        "empty, where a network such as 192.168.0.0/16 or "
                                                        "fd00::/8 is expected" },
        { "zones: {d.example: {reserved-names: [a.b]}}\n",
          "nsregd.yaml:1:38: zones.d.example.reserved-names[0]: \"a.b\": one label below the zone, without "
          "dots "
          "(globs are welcome)" },
        { "zones: {d.example: {algorithms: [ecdsap256sha265]}}\n",
          "nsregd.yaml:1:34: zones.d.example.algorithms[0]: \"ecdsap256sha265\": not an algorithm for keys "
          "here "
          "(did you mean \"ecdsap256sha256\"?)" },
        { "zones: {d.example: {algorithms: []}}\n",
          "nsregd.yaml:1:33: zones.d.example.algorithms: none: nobody could claim a name" },
        { "zones: {d.example: {ptr-policy: sorce}}\n",
          "nsregd.yaml:1:33: zones.d.example.ptr-policy: \"sorce\": must be one of allowed-nets, source (did "
          "you "
          "mean \"source\"?)" },
        { "zones: {d.example: {max-records-per-name: 0}}\n",
          "nsregd.yaml:1:43: zones.d.example.max-records-per-name: \"0\": out of range (1 to 1000)" },
        { "zones: {d.example: {max-names: -1}}\n",
          "nsregd.yaml:1:32: zones.d.example.max-names: \"-1\" is not a number" },
        { "zones: {d.example: {reverse-zones: [example.org]}}\n",
          "nsregd.yaml:1:37: zones.d.example.reverse-zones[0]: \"example.org\": not a reverse zone: those "
          "end in "
          "in-addr.arpa or ip6.arpa, such as 10.in-addr.arpa" },
        { "zones: {d.example: {upstreams: {type: builtin}}}\n",
          "nsregd.yaml:1:32: zones.d.example.upstreams: a table of keys where a list is expected" },
        { "zones: {d.example: {upstreams: [builtin]}}\n", "nsregd.yaml:1:33: zones.d.example.upstreams[0]: a "
                                                          "single value where a table of keys is expected" },
        { "zones: {d.example: {upstreams: [{hostname: ns}]}}\n",
          "nsregd.yaml:1:33: zones.d.example.upstreams[0].type: must say which type this is: nsupdate, "
          "unbound, "
          "builtin, disabled" },
        { "zones: {d.example: {upstreams: [{type: nsudpate}]}}\n",
          "nsregd.yaml:1:40: zones.d.example.upstreams[0].type: \"nsudpate\" is none of nsupdate, unbound, "
          "builtin, disabled (did you mean \"nsupdate\"?)" },
        { "zones: {d.example: {upstreams: [{type: builtin, hostname: x}]}}\n",
          "nsregd.yaml:1:49: zones.d.example.upstreams[0].hostname: unknown key" },
        { "zones: {d.example: {upstreams: [{type: builtin}, {type: builtin}]}}\n",
          "nsregd.yaml:1:32: zones.d.example.upstreams: more than one entry of type builtin" },
        { "zones: {d.example: {upstreams: [{type: nsupdate, zone: d.example}]}}\n",
          "nsregd.yaml:1:33: zones.d.example.upstreams[0]: hostname is missing: the name server to update" },
        { "zones: {d.example: {upstreams: [{type: nsupdate, hostname: ns}]}}\n",
          "nsregd.yaml:1:33: zones.d.example.upstreams[0]: zone is missing, and there are no reverse-zones "
          "either" },
        { "zones: {d.example: {upstreams: [{type: nsupdate, hostname: ns, zone: e.example}]}}\n",
          "nsregd.yaml:1:70: zones.d.example.upstreams[0].zone: d.example. does not lie in e.example." },
        { "zones: {d.example: {upstreams: [{type: nsupdate, hostname: ns, zone: example, tsig-name: k}]}}\n",
          "nsregd.yaml:1:90: zones.d.example.upstreams[0].tsig-name: tsig-name and tsig-secret go together" },
        { "zones: {d.example: {upstreams: [{type: nsupdate, hostname: ns, zone: example, tsig-secret: "
          "AAAA}]}}\n",
          "nsregd.yaml:1:92: zones.d.example.upstreams[0].tsig-secret: tsig-name and tsig-secret go "
          "together" },
        { "zones: {d.example: {upstreams: [{type: nsupdate, hostname: ns, zone: example, tcp: false}]}}\n",
          "nsregd.yaml:1:84: zones.d.example.upstreams[0].tcp: without a TSIG key, UDP is open to anybody's "
          "forged answers: give a key, or use TCP" },
        { "zones: {d.example: {upstreams: [{type: nsupdate, tsig-secret: 'hush!'}]}}\n",
          "nsregd.yaml:1:63: zones.d.example.upstreams[0].tsig-secret: \"(not shown)\" is not a secret in "
          "base64" },
        { "zones: {d.example: {upstreams: [{type: nsupdate, tsig-algorithm: hmac-sha265}]}}\n",
          "nsregd.yaml:1:66: zones.d.example.upstreams[0].tsig-algorithm: \"hmac-sha265\": not a TSIG "
          "algorithm "
          "known here (did you mean \"hmac-sha256\"?)" },
        { "zones: {d.example: {upstreams: [{type: nsupdate, hostname: ns, zone: example, tsig-key-file: /k, "
          "tsig-name: k, tsig-secret: AAAA}]}}\n",
          "nsregd.yaml:1:125: zones.d.example.upstreams[0].tsig-secret: the key is in tsig-key-file already: "
          "give "
          "one or the other" },
        { "zones: {d.example: {upstreams: [{type: nsupdate, hostname: ns, zone: example, tsig-key-file: "
          "/nonexistent/k}]}}\n",
          "nsregd.yaml:1:94: zones.d.example.upstreams[0].tsig-key-file: /nonexistent/k cannot be read: No "
          "such "
          "file or directory" },
        { "zones: {d.example: {reverse-zones: [10.in-addr.arpa], upstreams: [{type: unbound, hostname: "
          "u}]}}\n",
          "nsregd.yaml:1:36: zones.d.example.reverse-zones: for the builtin server, which this zone does not "
          "use: "
          "give them in the upstream's entry" },
        { "zones: {d.example: {upstreams: [{type: unbound}]}}\n",
          "nsregd.yaml:1:33: zones.d.example.upstreams[0]: hostname or control-socket is missing" },
        { "zones: {d.example: {upstreams: [{type: unbound, hostname: u, control-socket: /s}]}}\n",
          "nsregd.yaml:1:78: zones.d.example.upstreams[0].control-socket: hostname is given too: Unbound is "
          "reached by one or the other" },
        { "zones: {d.example: {upstreams: [{type: unbound, hostname: u, zone-type: statik}]}}\n",
          "nsregd.yaml:1:73: zones.d.example.upstreams[0].zone-type: \"statik\": must be one of none, deny, "
          "refuse, static, transparent, typetransparent, redirect, inform, inform_deny, inform_redirect, "
          "nodefault, noview, always_transparent, always_refuse, always_nxdomain, always_nodata, "
          "always_deny, "
          "always_null, block_a (did you mean \"static\"?)" },
        { "limits: {connectoins: 1}\n",
          "nsregd.yaml:1:10: limits.connectoins: unknown key (did you mean \"connections\"?)" },
        { "limits: {unread-output: 64G}\n",
          "nsregd.yaml:1:25: limits.unread-output: \"64G\" is not a size in bytes such as 8192 or 64K" },
        { "limits: {message-bytes: 1M}\n",
          "nsregd.yaml:1:25: limits.message-bytes: \"1M\": out of range (512 to 65535)" },
        { "limits: {unknown-name-share: 101%}\n",
          "nsregd.yaml:1:30: limits.unknown-name-share: \"101%\": out of range (1 to 100)" },
        { "limits: {message-timeout: 1us}\n",
          "nsregd.yaml:1:27: limits.message-timeout: \"1us\": out of range (100ms to 1h)" },
        /* All errors at once, in the order of the file. */
        { "listen-prot: 1\nzones:\n  d.example:\n    max-names: many\nlimits:\n  waiting: 0\n",
          "nsregd.yaml:1:1: listen-prot: unknown key (did you mean \"listen-port\"?)\n"
          "nsregd.yaml:4:16: zones.d.example.max-names: \"many\" is not a number\n"
          "nsregd.yaml:6:12: limits.waiting: \"0\": out of range (1 to 10000000)" },
};

static const struct bad_case bad_nsregc[] = {
        { "nmae: foo\n", "nsregc.yaml:1:1: nmae: unknown key (did you mean \"name\"?)" },
        { "name: foo.bar\n", "nsregc.yaml:1:7: name: \"foo.bar\": one label is wanted: letters, digits and "
                             "hyphens, at most 63, no hyphen at either end" },
        { "name: foo-\n",
          "nsregc.yaml:1:7: name: \"foo-\": one label is wanted: letters, digits and hyphens, at "
          "most 63, no hyphen at either end" },
        { "zones: d.example\n", "nsregc.yaml:1:8: zones: a single value where a list is expected" },
        { "zones: [a..b]\n", "nsregc.yaml:1:9: zones[0]: \"a..b\" is not a domain name" },
        { "interfaces:\n- !docker*\n",
          "nsregc.yaml:2:3: tags are not supported here (a value that begins with \"!\" "
          "goes in quotes)" },
        { "extra-addresses: [10.0.0.0/8]\n",
          "nsregc.yaml:1:19: extra-addresses[0]: \"10.0.0.0/8\" is not an IPv4 or IPv6 address" },
        { "dns-server: 10.0.0.1@http\n",
          "nsregc.yaml:1:13: dns-server: \"10.0.0.1@http\" is not a server such as "
          "192.0.2.1 or 192.0.2.1@8053" },
        { "dns-server: \"@53\"\n",
          "nsregc.yaml:1:13: dns-server: \"@53\" is not a server such as 192.0.2.1 or 192.0.2.1@8053" },
        { "key-ttl: forever\n",
          "nsregc.yaml:1:10: key-ttl: \"forever\" is not a time span such as 30s, 1h30m or 6months" },
        { "dns-timeout: 1us\n", "nsregc.yaml:1:14: dns-timeout: \"1us\": out of range (100ms to 10min)" },
        { "dns-tcp: tcp\n", "nsregc.yaml:1:10: dns-tcp: \"tcp\" is not true or false" },
};

/* All cases are run, and all that differ are told, before the test fails. */
static bool differs(const struct bad_case *bad, int r, const char *text)
{
        if (r == -EINVAL && text && streq(text, bad->expected))
                return false;
        print_error("for: %s\nexpected: %s\ngot (%i): %s\n", bad->text, bad->expected, r, text ? text : "");
        return true;
}

static unsigned count_nsregd_differences(const struct bad_case *cases, size_t n)
{
        unsigned different = 0;

        for (size_t i = 0; i < n; i++) {
                _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
                _cleanup_(nsregd_config_freep) struct nsregd_config *config = NULL;
                int r = nsregd_config_parse("nsregd.yaml", cases[i].text, strlen(cases[i].text), &config,
                                            &error);

                different += differs(&cases[i], r, error.text);
        }
        return different;
}

static void test_bad_documents(void **state)
{
        assert_int_equal(count_nsregd_differences(bad_documents, ELEMENTSOF(bad_documents)), 0);
}

static void test_bad_nsregd(void **state)
{
        assert_int_equal(count_nsregd_differences(bad_nsregd, ELEMENTSOF(bad_nsregd)), 0);
}

static void test_bad_nsregc(void **state)
{
        unsigned different = 0;

        for (size_t i = 0; i < ELEMENTSOF(bad_nsregc); i++) {
                const struct bad_case *bad = &bad_nsregc[i];
                _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
                _cleanup_(nsregc_config_freep) struct nsregc_config *config = NULL;
                int r = nsregc_config_parse("nsregc.yaml", bad->text, strlen(bad->text), &config, &error);

                different += differs(bad, r, error.text);
        }
        assert_int_equal(different, 0);
}

static void test_many_errors_are_bounded(void **state)
{
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        struct nsregd_config *config = NULL;
        char text[4096] = "";
        size_t lines = 1;

        for (int i = 0; i < 100; i++)
                sprintf(text + strlen(text), "nonsense-%d: 1\n", i);
        assert_int_equal(nsregd_config_parse("nsregd.yaml", text, strlen(text), &config, &error), -EINVAL);
        for (const char *c = error.text; *c; c++)
                lines += *c == '\n';
        assert_int_equal(lines, CONFIG_ERRORS_MAX);
        assert_int_equal(error.n_errors, 100);
}

static void test_nsregd_defaults(void **state)
{
        static const char *const usual_nets[] = { "127.0.0.0/8",    "::1/128",  "10.0.0.0/8", "172.16.0.0/12",
                                                  "192.168.0.0/16", "fc00::/7", NULL };
        const struct peer_limits expected = PEER_LIMITS_DEFAULT;
        _cleanup_(nsregd_config_freep) struct nsregd_config *config = NULL;
        struct zone_policy plain;
        const struct zone_config *zone;
        struct peer_limits limits;

        unsetenv("STATE_DIRECTORY");
        config = parse_nsregd("zones:\n  D.Example:\n");
        assert_string_equal(config->listen_addr, "localhost");
        assert_int_equal(config->listen_port, 8053);
        assert_false(config->listen_port_given);
        assert_int_equal(config->server_name.length, 0);
        assert_string_equal(config->data_dir, "/var/lib/nsregd");
        assert_int_equal(config->n_zones, 1);
        assert_true(config->found);

        limits = config->limits;
        assert_int_equal(limits.exempt_nets.n_items, 2);
        limits.exempt_nets = (struct prefix_list){};
        assert_memory_equal(&limits, &expected, sizeof(limits));

        zone = &config->zones[0];
        assert_name(&zone->policy.zone, "d.example.");
        zone_policy_init(&plain, &zone->policy.zone);
        assert_int_equal(zone->policy.max_key_ttl_sec, plain.max_key_ttl_sec);
        assert_int_equal(zone->policy.max_addr_ttl_sec, plain.max_addr_ttl_sec);
        assert_int_equal(zone->policy.min_addr_ttl_sec, plain.min_addr_ttl_sec);
        assert_int_equal(zone->policy.max_records_per_name, plain.max_records_per_name);
        assert_int_equal(zone->policy.algorithms, plain.algorithms);
        assert_int_equal(zone->policy.max_names, 10000);
        assert_int_equal(zone->policy.max_names_per_source, 64);
        assert_int_equal(zone->policy.ptr_policy, PTR_POLICY_ALLOWED_NETS);
        assert_false(zone->policy.allow_any_addr);
        assert_prefixes(&zone->policy.allowed_nets, usual_nets);
        assert_prefixes(&zone->policy.query_nets, usual_nets);
        assert_int_equal(zone->policy.updates_from.n_items, 0);

        assert_int_equal(zone->n_upstreams, 1);
        assert_int_equal(zone->upstreams[0].type, UPSTREAM_BUILTIN);
        assert_int_equal(zone->upstreams[0].record_ttl_sec, 60);
        zone_policy_clear(&plain);
}

static void test_empty_configurations(void **state)
{
        static const char *const texts[] = { "",         "\n# nothing\n", "---\n",
                                             "zones:\n", "zones: {}\n",   "limits:\n" };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                _cleanup_(nsregd_config_freep) struct nsregd_config *config = parse_nsregd(texts[i]);

                assert_int_equal(config->n_zones, 0);
                assert_int_equal(config->limits.connections, 4096);
        }
}

static void test_state_directory(void **state)
{
        _cleanup_(nsregd_config_freep) struct nsregd_config *config = NULL;

        setenv("STATE_DIRECTORY", "/var/lib/a:/var/lib/b", 1);
        config = parse_nsregd("");
        assert_string_equal(config->data_dir, "/var/lib/a");
        config = nsregd_config_free(config);
        setenv("STATE_DIRECTORY", "/var/lib/c", 1);
        config = parse_nsregd("");
        assert_string_equal(config->data_dir, "/var/lib/c");
        config = nsregd_config_free(config);
        config = parse_nsregd("data-dir: /srv/x\n");
        assert_string_equal(config->data_dir, "/srv/x");
        unsetenv("STATE_DIRECTORY");
}

static const char full[] = "listen-addr: '::'\n"
                           "Listen-Port: 5353\n"
                           "server-name: nsreg.example.org\n"
                           "data-dir: \"/srv/with \\\"quotes\\\"\"\n"
                           "limits:\n"
                           "  connections: 10\n"
                           "  connections-per-source: 9\n"
                           "  message-bytes: 4K\n"
                           "  rrs-per-message: 8\n"
                           "  in-flight-per-connection: 7\n"
                           "  unread-output: 2K\n"
                           "  message-timeout: 2s\n"
                           "  idle-timeout: 1min 30s\n"
                           "  updates-per-second-per-source: 6\n"
                           "  verifications-per-second: 500\n"
                           "  unknown-name-share: 10 %\n"
                           "  new-names-per-minute-per-source: 5\n"
                           "  waiting: 4\n"
                           "  exempt-nets: []\n"
                           "zones:\n"
                           "  d.example:\n"
                           "    max-key-ttl: 6months\n"
                           "    max-addr-ttl: 1h30m\n"
                           "    min-addr-ttl: 2s\n"
                           "    reserved-names: [Router, 'ns*', no]\n"
                           "    allowed-nets: [192.168.1.7/24, '2001:db8::/32']\n"
                           "    query-nets: [10.0.0.0/8]\n"
                           "    updates-from: [10.1.0.0/16]\n"
                           "    allow-any-addr: Yes\n"
                           "    ptr-policy: source\n"
                           "    max-names: 100\n"
                           "    max-names-per-source: 3\n"
                           "    max-records-per-name: 2\n"
                           "    algorithms: [ED25519, rsasha256]\n"
                           "    upstreams:\n"
                           "    - type: nsupdate\n"
                           "      hostname: 127.0.0.1\n"
                           "      port: 5300\n"
                           "      tcp: false\n"
                           "      timeout: 1500ms\n"
                           "      zone: example.\n"
                           "      reverse-zones: [1.168.192.in-addr.arpa, 8.b.d.0.1.0.0.2.ip6.arpa]\n"
                           "      record-ttl: 10m\n"
                           "      tsig-name: key\n"
                           "      tsig-secret: c2VjcmV0\n"
                           "      tsig-algorithm: hmac-sha512\n"
                           "      keep-records: false\n"
                           "      exclude-nets: ['fd00::/8']\n"
                           "      protect-foreign-names: off\n"
                           "    - type: Unbound\n"
                           "      hostname: u.example\n"
                           "      port: 8954\n"
                           "      client-cert: /c\n"
                           "      client-key: /k\n"
                           "      server-cert: /s\n"
                           "      server-name: resolver\n"
                           "      zone-type: none\n"
                           "      timeout: 3s\n"
                           "      record-ttl: 0\n"
                           "    - type: disabled\n"
                           "      whatever: [is, {here: yes}]\n"
                           "    - type: builtin\n"
                           "      reverse-zones: [10.in-addr.arpa]\n"
                           "    reverse-zones: [10.in-addr.arpa, 168.192.in-addr.arpa]\n"
                           "  e.example: {}\n";

static void test_nsregd_values(void **state)
{
        static const char *const nets[] = { "192.168.1.0/24", "2001:db8::/32", NULL };
        static const char *const query_nets[] = { "10.0.0.0/8", NULL };
        _cleanup_(nsregd_config_freep) struct nsregd_config *config = parse_nsregd(full);
        const struct zone_config *zone = &config->zones[0];
        const struct upstream_config *upstream = zone->upstreams;

        assert_string_equal(config->listen_addr, "::");
        assert_int_equal(config->listen_port, 5353);
        assert_true(config->listen_port_given);
        assert_name(&config->server_name, "nsreg.example.org.");
        assert_string_equal(config->data_dir, "/srv/with \"quotes\"");
        assert_int_equal(config->limits.message_bytes, 4096);
        assert_int_equal(config->limits.idle_timeout_usec, 90 * USEC_PER_SEC);
        assert_int_equal(config->limits.unknown_name_share, 10);
        assert_int_equal(config->limits.verifications_per_second, 500);
        assert_int_equal(config->limits.exempt_nets.n_items, 0);
        assert_int_equal(config->n_zones, 2);

        assert_int_equal(zone->policy.max_addr_ttl_sec, 5400);
        assert_int_equal(zone->policy.min_addr_ttl_sec, 2);
        assert_int_equal(zone->policy.reserved_names.n_items, 3);
        assert_string_equal(zone->policy.reserved_names.items[0], "router");
        assert_string_equal(zone->policy.reserved_names.items[2], "no");
        assert_prefixes(&zone->policy.allowed_nets, nets);
        assert_prefixes(&zone->policy.query_nets, query_nets);
        assert_int_equal(zone->policy.updates_from.n_items, 1);
        assert_true(zone->policy.allow_any_addr);
        assert_int_equal(zone->policy.ptr_policy, PTR_POLICY_SOURCE);
        assert_int_equal(zone->policy.algorithms, 1 << DNS_ALGORITHM_ED25519 | 1 << DNS_ALGORITHM_RSASHA256);

        assert_int_equal(zone->n_upstreams, 4);
        assert_int_equal(upstream[0].type, UPSTREAM_NSUPDATE);
        assert_int_equal(upstream[0].port, 5300);
        assert_false(upstream[0].tcp);
        assert_int_equal(upstream[0].timeout_usec, 1500 * USEC_PER_MSEC);
        assert_name(&upstream[0].zone, "example.");
        assert_int_equal(upstream[0].reverse_zones.n_items, 2);
        assert_int_equal(upstream[0].record_ttl_sec, 600);
        assert_int_equal(upstream[0].key_source, UPSTREAM_KEY_INLINE);
        assert_name(&upstream[0].tsig_key.name, "key.");
        assert_int_equal(upstream[0].tsig_key.algorithm, TSIG_HMAC_SHA512);
        assert_int_equal(upstream[0].tsig_key.secret_length, 6);
        assert_memory_equal(upstream[0].tsig_key.secret, "secret", 6);
        assert_false(upstream[0].keep_records);
        assert_false(upstream[0].protect_foreign_names);
        assert_int_equal(upstream[1].type, UPSTREAM_UNBOUND);
        assert_string_equal(upstream[1].server_name, "resolver");
        assert_string_equal(upstream[1].zone_type, "none");
        assert_true(upstream[1].protect_foreign_names);
        assert_true(upstream[1].keep_records);
        assert_int_equal(upstream[1].record_ttl_sec, 0);
        assert_int_equal(upstream[2].type, UPSTREAM_DISABLED);
        assert_int_equal(upstream[3].type, UPSTREAM_BUILTIN);
        assert_int_equal(upstream[3].reverse_zones.n_items, 2);
}

/* A maximum below the usual minimum lowers that. */
static void test_short_leases(void **state)
{
        _cleanup_(nsregd_config_freep) struct nsregd_config *config = parse_nsregd(
                "zones: {d.example: {max-addr-ttl: 3s}}");

        assert_int_equal(config->zones[0].policy.min_addr_ttl_sec, 3);
}

/* Not inlined: gcc 12 takes what open_memstream() leaves for a pointer into this frame. */
__attribute__((noinline)) static char *print_nsregd(const struct nsregd_config *config)
{
        char *text = NULL;
        size_t length = 0;
        FILE *out = open_memstream(&text, &length);

        assert_non_null(out);
        nsregd_config_print(config, out);
        fclose(out);
        return text;
}

static void test_printed_configuration_reads_the_same(void **state)
{
        _cleanup_(nsregd_config_freep) struct nsregd_config *config = parse_nsregd(full), *again = NULL;
        _cleanup_free_ char *text = print_nsregd(config), *second = NULL;
        char *secret;

        assert_null(strstr(text, "c2VjcmV0"));
        secret = strstr(text, "# tsig-secret: (not shown)");
        assert_non_null(secret);
        memcpy(secret, "tsig-secret: 'c2VjcmV0'   ", strlen("# tsig-secret: (not shown)"));
        again = parse_nsregd(text);
        assert_true(upstream_config_equal(&config->zones[0].upstreams[0], &again->zones[0].upstreams[0]));
        assert_true(upstream_config_equal(&config->zones[0].upstreams[1], &again->zones[0].upstreams[1]));
        second = print_nsregd(again);
        memcpy(secret, "# tsig-secret: (not shown)", strlen("# tsig-secret: (not shown)"));
        assert_string_equal(text, second);
}

static const char original_daemon[] = "# as the original's users have it\n"
                                      "data-dir: /var/lib/nsregd\n"
                                      "listen-addr: localhost\n"
                                      "listen-port: 8053\n"
                                      "zones:\n"
                                      "  dyn.example.org:\n"
                                      "    max-key-ttl: 4320h\n"
                                      "    max-addr-ttl: 1h\n"
                                      "    reserved-names:\n"
                                      "      - gateway\n"
                                      "    allowed-nets:\n"
                                      "      - 127.0.0.1/8\n"
                                      "      - ::1/128\n"
                                      "    allow-any-addr: false\n"
                                      "    upstreams:\n"
                                      "      - type: nsupdate\n"
                                      "        hostname: localhost\n"
                                      "        port: 53\n"
                                      "        tcp: true\n"
                                      "        timeout: 10s\n"
                                      "        zone: dyn.example.org\n"
                                      "        reverse-zones:\n"
                                      "          - 168.192.in-addr.arpa\n"
                                      "        record-ttl: 60s\n"
                                      "        tsig-name: dyn.example.org\n"
                                      "        tsig-secret: c2VjcmV0\n"
                                      "        keep-records: false\n"
                                      "        exclude-nets:\n"
                                      "          - 10.0.0.0/8\n"
                                      "      - type: disabled\n"
                                      "        hostname: elsewhere\n";

static void test_original_files_are_taken(void **state)
{
        static const char *const nets[] = { "127.0.0.0/8", "::1/128", NULL };
        _cleanup_(nsregd_config_freep) struct nsregd_config *daemon = parse_nsregd(original_daemon);
        _cleanup_(nsregc_config_freep) struct nsregc_config *client = parse_nsregc(
                "name: \nzones:\n  - dyn.example.org\ninterfaces:\n  - eth0\nexclude-subnets:\n"
                "  - 127.0.0.0/8\n  - fe80::/10\nkey-file: nsregc.key\nprivate-key-file: "
                "nsregc.private\ngen-key: true\nkey-ttl: 720h\naddr-ttl: 1h\ndns-server: "
                "127.0.0.1@8053\ndns-tcp: true\ndns-timeout: 10s\nkeep-records: false\n");

        assert_prefixes(&daemon->zones[0].policy.allowed_nets, nets);
        assert_int_equal(daemon->zones[0].n_upstreams, 2);
        assert_null(client->name);
        assert_string_equal(client->dns_server.host, "127.0.0.1");
        assert_int_equal(client->dns_server.port, 8053);
}

static void test_nsregc_values(void **state)
{
        static const char *const usual[] = { "127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10", NULL };
        static const char *const none[] = { NULL };
        _cleanup_(nsregc_config_freep) struct nsregc_config *config = parse_nsregc(""), *set = NULL;
        char buffer[ADDRESS_FORMAT_MAX];

        assert_null(config->name);
        assert_int_equal(config->name_on_conflict, NAME_ON_CONFLICT_KEEP);
        assert_true(config->discover_zones);
        assert_prefixes(&config->exclude_subnets, usual);
        assert_int_equal(config->interfaces.n_items, 0);
        assert_false(config->keep_records);
        assert_string_equal(config->key_file, "nsregc.key");
        assert_string_equal(config->private_key_file, "nsregc.private");
        assert_false(config->private_key_file_given);
        assert_true(config->gen_key);
        assert_int_equal(config->key_ttl_sec, 720 * 3600);
        assert_int_equal(config->addr_ttl_sec, 3600);
        assert_null(config->dns_server.host);
        assert_false(config->dns_tcp);
        assert_int_equal(config->dns_timeout_usec, 10 * USEC_PER_SEC);
        assert_false(config->ipv6_temporary);

        set = parse_nsregc(
                "name: no\nname-on-conflict: suffix\nzones: [A.example, b.example.]\ndiscover-zones: no\n"
                "interfaces: ['eth*', '!docker*']\nexclude-subnets: []\n"
                "extra-addresses: [192.0.2.1, '2001:db8::1']\nkeep-records: on\nkey-file: /k\n"
                "private-key-file: /p\ngen-key: off\nkey-ttl: 2days\naddr-ttl: 90\n"
                "dns-server: '[2001:db8::53]@5353'\ndns-tcp: TRUE\ndns-timeout: 500ms\n"
                "ipv6-temporary: true\n");
        assert_string_equal(set->name, "no");
        assert_int_equal(set->name_on_conflict, NAME_ON_CONFLICT_SUFFIX);
        assert_int_equal(set->zones.n_items, 2);
        assert_name(&set->zones.items[0], "a.example.");
        assert_string_equal(set->interfaces.items[1], "!docker*");
        assert_prefixes(&set->exclude_subnets, none);
        assert_string_equal(address_format(&set->extra_addresses.items[1], buffer), "2001:db8::1");
        assert_true(set->keep_records && set->dns_tcp && set->ipv6_temporary);
        assert_false(set->gen_key || set->discover_zones);
        assert_true(set->key_file_given && set->private_key_file_given);
        assert_int_equal(set->key_ttl_sec, 2 * 86400);
        assert_int_equal(set->addr_ttl_sec, 90);
        assert_string_equal(set->dns_server.host, "2001:db8::53");
        assert_int_equal(set->dns_server.port, 5353);
        assert_int_equal(set->dns_timeout_usec, 500 * USEC_PER_MSEC);
}

/* -- files */

struct tree {
        char root[64];
};

static int make_tree(void **state)
{
        static struct tree tree;

        strcpy(tree.root, "/tmp/test-config-XXXXXX");
        assert_non_null(mkdtemp(tree.root));
        *state = &tree;
        return 0;
}

static int remove_tree(void **state)
{
        struct tree *tree = *state;
        char command[100];

        snprintf(command, sizeof(command), "rm -rf %s", tree->root);
        return system(command) == 0 ? 0 : -1;
}

static void write_in(const struct tree *tree, const char *name, const char *text, mode_t mode)
{
        _cleanup_free_ char *path = path_join(tree->root, name);
        char *slash;

        for (slash = strchr(path + strlen(tree->root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                assert_return_code(directory_ensure(path, 0755), 0);
                *slash = '/';
        }
        assert_return_code(file_write_atomic(path, text, strlen(text), mode), 0);
}

static void test_drop_ins_beside_the_file(void **state)
{
        struct tree *tree = *state;
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        _cleanup_(nsregd_config_freep) struct nsregd_config *config = NULL;
        _cleanup_free_ char *path = path_join(tree->root, "nsregd.yaml");
        const struct zone_config *zone;

        write_in(tree, "nsregd.yaml",
                 "listen-port: 1\nzones:\n  d.example:\n    max-names: 5\n    reserved-names: [a, b]\n",
                 0644);
        write_in(tree, "nsregd.yaml.d/20-second.yaml", "Listen-Port: 3\n", 0644);
        write_in(tree, "nsregd.yaml.d/10-first.yaml",
                 "listen-port: 2\nzones:\n  D.example.:\n    reserved-names: [c]\n    max-names-per-source: "
                 "7\n"
                 "  e.example:\n",
                 0644);
        write_in(tree, "nsregd.yaml.d/30-other.conf", "listen-port: 4\n", 0644);
        write_in(tree, "nsregd.yaml.d/.hidden.yaml", "listen-port: 5\n", 0644);

        assert_return_code(nsregd_config_load(path, &config, &error), 0);
        assert_int_equal(config->listen_port, 3);
        assert_int_equal(config->n_zones, 2);
        zone = &config->zones[0];
        assert_int_equal(zone->policy.max_names, 5);
        assert_int_equal(zone->policy.max_names_per_source, 7);
        assert_int_equal(zone->policy.reserved_names.n_items, 1);
        assert_string_equal(zone->policy.reserved_names.items[0], "c");
        assert_null(error.warnings);
}

/* What relative paths are beside: the file, whatever lies in the directory of drop-ins. */
static void test_directory_of_the_file(void **state)
{
        struct tree *tree = *state;
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        _cleanup_free_ char *path = path_join(tree->root, "nsregc.yaml");

        for (unsigned drop_ins = 0; drop_ins < 2; drop_ins++) {
                _cleanup_(nsregc_config_freep) struct nsregc_config *config = NULL;

                write_in(tree, "nsregc.yaml", "name: box\n", 0644);
                if (drop_ins)
                        write_in(tree, "nsregc.yaml.d/a.yaml", "key-ttl: 1h\n", 0644);
                assert_return_code(nsregc_config_load(path, &config, &error), 0);
                assert_string_equal(config->directory, tree->root);
        }
}

/* The files of nsregd.yaml are known, for whoever checks that they can be read. */
static void test_files_are_known(void **state)
{
        struct tree *tree = *state;
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        _cleanup_(nsregd_config_freep) struct nsregd_config *config = NULL;
        _cleanup_free_ char *path = path_join(tree->root, "nsregd.yaml"), *drop_in = NULL;

        write_in(tree, "nsregd.yaml", "listen-port: 1\n", 0644);
        write_in(tree, "nsregd.yaml.d/a.yaml", "listen-port: 2\n", 0644);
        assert_return_code(nsregd_config_load(path, &config, &error), 0);
        assert_int_equal(config->files.n_items, 2);
        drop_in = path_join(tree->root, "nsregd.yaml.d/a.yaml");
        assert_string_equal(config->files.items[0], drop_in);
        assert_string_equal(config->files.items[1], path);
}

/* An empty value in a drop-in takes the setting back to its default. */
static void test_drop_in_takes_back(void **state)
{
        struct tree *tree = *state;
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        _cleanup_(nsregd_config_freep) struct nsregd_config *config = NULL;
        _cleanup_free_ char *path = path_join(tree->root, "nsregd.yaml");

        write_in(tree, "nsregd.yaml", "listen-port: 1\n", 0644);
        write_in(tree, "nsregd.yaml.d/a.yaml", "listen-port:\n", 0644);
        assert_return_code(nsregd_config_load(path, &config, &error), 0);
        assert_int_equal(config->listen_port, 8053);
        assert_false(config->listen_port_given);
}

static void test_error_in_a_drop_in(void **state)
{
        struct tree *tree = *state;
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        struct nsregd_config *config = NULL;
        _cleanup_free_ char *path = path_join(tree->root, "nsregd.yaml"), *expected = NULL;

        write_in(tree, "nsregd.yaml", "listen-port: 1\n", 0644);
        write_in(tree, "nsregd.yaml.d/a.yaml", "\n\n  listen-port: zero\n", 0644);
        assert_int_equal(nsregd_config_load(path, &config, &error), -EINVAL);
        assert_true(asprintf(&expected, "%s.d/a.yaml:3:16: listen-port: \"zero\" is not a port number",
                             path) > 0);
        assert_string_equal(error.text, expected);
}

static void test_missing_files(void **state)
{
        struct tree *tree = *state;
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        _cleanup_(config_document_freep) struct config_document *document = NULL;
        struct nsregd_config *config = NULL;
        _cleanup_free_ char *path = path_join(tree->root, "nsregd.yaml"), *expected = NULL;
        const char *directories[] = { tree->root, "/nonexistent", NULL };

        assert_int_equal(nsregd_config_load(path, &config, &error), -EINVAL);
        assert_true(asprintf(&expected, "%s: cannot be read: No such file or directory", path) > 0);
        assert_string_equal(error.text, expected);

        assert_return_code(config_files_load_directories(directories, "nsregd.yaml", &document, &error), 0);
        assert_null(document->root);
        assert_null(document->sources);
}

static const char *text_at(const struct config_document *document, const char *key)
{
        const struct config_entry *entry = config_node_find(document->root, key);

        return entry ? entry->value->text : NULL;
}

static void test_directories_hide_one_another(void **state)
{
        struct tree *tree = *state;
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        _cleanup_(config_document_freep) struct config_document *document = NULL;
        _cleanup_free_ char *etc = path_join(tree->root, "etc"), *run = path_join(tree->root, "run"),
                            *usr = path_join(tree->root, "usr");
        const char *directories[] = { etc, run, usr, NULL };

        write_in(tree, "usr/x.yaml", "main: usr\nonly-usr: 1\n", 0644);
        write_in(tree, "run/x.yaml", "main: run\n", 0644);
        write_in(tree, "etc/x.yaml.d/50-a.yaml", "a: etc\n", 0644);
        write_in(tree, "usr/x.yaml.d/50-a.yaml", "a: usr\n", 0644);
        write_in(tree, "run/x.yaml.d/60-b.yaml", "b: run\na: later\n", 0644);
        write_in(tree, "usr/x.yaml.d/40-c.yaml", "c: usr\na: earlier\nmain: drop-in\n", 0644);

        assert_return_code(config_files_load_directories(directories, "x.yaml", &document, &error), 0);
        assert_string_equal(text_at(document, "main"), "drop-in");
        assert_null(text_at(document, "only-usr"));
        assert_string_equal(text_at(document, "a"), "later");
        assert_string_equal(text_at(document, "b"), "run");
        assert_string_equal(text_at(document, "c"), "usr");
}

static const char with_secret[] =
        "zones:\n  d.example:\n    upstreams:\n    - type: nsupdate\n      hostname: ns\n"
        "      zone: d.example\n      tsig-name: k\n      tsig-secret: c2VjcmV0\n";

static void test_readable_secret_is_warned_about(void **state)
{
        struct tree *tree = *state;
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        _cleanup_(nsregd_config_freep) struct nsregd_config *config = NULL;
        _cleanup_free_ char *path = path_join(tree->root, "nsregd.yaml"), *expected = NULL;

        write_in(tree, "nsregd.yaml", with_secret, 0644);
        assert_return_code(nsregd_config_load(path, &config, &error), 0);
        assert_true(asprintf(&expected,
                             "%s:8:20: zones.d.example.upstreams[0].tsig-secret: a secret in a file that "
                             "everybody can read (chmod o-r, or use tsig-key-file)",
                             path) > 0);
        assert_string_equal(error.warnings, expected);

        config_error_clear(&error);
        config = nsregd_config_free(config);
        write_in(tree, "nsregd.yaml", with_secret, 0640);
        assert_return_code(nsregd_config_load(path, &config, &error), 0);
        assert_null(error.warnings);
}

static void test_key_file(void **state)
{
        struct tree *tree = *state;
        _cleanup_(nsregd_config_freep) struct nsregd_config *config = NULL;
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        _cleanup_free_ char *text = NULL, *bad = NULL, *expected = NULL;
        struct nsregd_config *none = NULL;
        const struct upstream_config *upstream;

        write_in(tree, "tsig.key",
                 "key \"from-file\" {\n\talgorithm hmac-sha384;\n\tsecret \"c2VjcmV0\";\n};\n", 0600);
        write_in(tree, "bad.key", "nothing of that kind\n", 0600);
        setenv("CREDENTIALS_DIRECTORY", tree->root, 1);
        config = parse_nsregd(
                "zones: {d.example: {upstreams: [{type: nsupdate, hostname: ns, zone: d.example, "
                "tsig-key-file: tsig.key}]}}");
        upstream = &config->zones[0].upstreams[0];
        assert_int_equal(upstream->key_source, UPSTREAM_KEY_FILE);
        assert_name(&upstream->tsig_key.name, "from-file.");
        assert_int_equal(upstream->tsig_key.algorithm, TSIG_HMAC_SHA384);
        assert_int_equal(upstream->tsig_key.secret_length, 6);
        config = nsregd_config_free(config);
        unsetenv("CREDENTIALS_DIRECTORY");

        assert_true(
                asprintf(&text,
                         "zones: {d.example: {upstreams: [{type: nsupdate, hostname: ns, zone: d.example, "
                         "tsig-key-file: %s/tsig.key}]}}",
                         tree->root) > 0);
        config = parse_nsregd(text);
        assert_int_equal(config->zones[0].upstreams[0].key_source, UPSTREAM_KEY_FILE);

        assert_true(
                asprintf(&bad,
                         "zones: {d.example: {upstreams: [{type: nsupdate, hostname: ns, zone: d.example, "
                         "tsig-key-file: %s/bad.key}]}}",
                         tree->root) > 0);
        assert_int_equal(nsregd_config_parse("nsregd.yaml", bad, strlen(bad), &none, &error), -EINVAL);
        assert_true(asprintf(&expected,
                             "nsregd.yaml:1:96: zones.d.example.upstreams[0].tsig-key-file: %s/bad.key: ",
                             tree->root) > 0);
        assert_memory_equal(error.text, expected, strlen(expected));
}

/* What zones may differ in: the records' TTL, filters, their reverse zones; and entries with reverse zones
 * only have a key each. */
static void test_zones_share_a_server(void **state)
{
        struct nsregd_config *config = parse_nsregd("zones:\n"
                                                    "  a.example:\n    upstreams:\n"
                                                    "    - {type: nsupdate, hostname: h, zone: example, "
                                                    "record-ttl: 1s, reverse-zones: [10.in-addr.arpa]}\n"
                                                    "    - {type: nsupdate, hostname: h, reverse-zones: "
                                                    "[11.in-addr.arpa], tsig-name: a, tsig-secret: YQ==}\n"
                                                    "    - {type: nsupdate, hostname: h, reverse-zones: "
                                                    "[12.in-addr.arpa], tsig-name: b, tsig-secret: YQ==}\n"
                                                    "  b.example:\n    upstreams:\n"
                                                    "    - {type: nsupdate, hostname: h, zone: example, "
                                                    "record-ttl: 2s, exclude-nets: [fd00::/8]}\n");

        assert_int_equal(config->zones[0].policy.reverse_zones.n_items, 3);
        assert_int_equal(config->zones[1].policy.reverse_zones.n_items, 0);
        nsregd_config_free(config);
}

static void test_everybody_is_warned_about(void **state)
{
        static const char text[] = "zones: {d.example: {allowed-nets: ['0.0.0.0/0']}}";
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        _cleanup_(nsregd_config_freep) struct nsregd_config *config = NULL;

        assert_return_code(nsregd_config_parse("nsregd.yaml", text, strlen(text), &config, &error), 0);
        assert_string_equal(error.warnings,
                            "nsregd.yaml:1:35: zones.d.example.allowed-nets: a network of length 0 "
                            "lets everybody in the world claim names");
}

static void test_a_failed_file_changes_nothing(void **state)
{
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        _cleanup_(config_document_freep) struct config_document *document = config_document_new();
        static const char good[] = "a: 1\nb: [1]\n", bad[] = "a: 2\nb: [*x]\n";

        assert_return_code(config_document_add(document, "good", 0600, good, strlen(good), &error), 0);
        assert_int_equal(config_document_add(document, "bad", 0600, bad, strlen(bad), &error), -EINVAL);
        assert_string_equal(text_at(document, "a"), "1");
}

static void test_user_file(void **state)
{
        struct tree *tree = *state;
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        _cleanup_(nsregc_config_freep) struct nsregc_config *config = NULL;

        if (geteuid() != 0)
                skip();
        write_in(tree, ".nsregc/nsregc.yaml", "name: mine\n", 0644);
        write_in(tree, "xdg/nsregc/nsregc.yaml", "name: xdg\n", 0644);
        assert_return_code(chmod(tree->root, 0755), 0);
        setenv("HOME", tree->root, 1);
        unsetenv("XDG_CONFIG_HOME");
        assert_return_code(seteuid(65534), 0);
        assert_return_code(nsregc_config_load(NULL, &config, &error), 0);
        assert_string_equal(config->name, "mine");
        config = nsregc_config_free(config);
        {
                _cleanup_free_ char *xdg = path_join(tree->root, "xdg");

                setenv("XDG_CONFIG_HOME", xdg, 1);
        }
        assert_return_code(nsregc_config_load(NULL, &config, &error), 0);
        assert_string_equal(config->name, "xdg");
        assert_return_code(seteuid(0), 0);
}

/* Where the system has no configuration, root has that of the original, unless the home is somebody else's.
 */
static void test_root_file(void **state)
{
        struct tree *tree = *state;
        _cleanup_(config_error_clear) struct config_error error = CONFIG_ERROR_INIT;
        _cleanup_(nsregc_config_freep) struct nsregc_config *config = NULL;
        _cleanup_free_ char *path = path_join(tree->root, ".nsregc/nsregc.yaml"),
                            *directory = path_join(tree->root, ".nsregc");

        if (geteuid() != 0 || access("/etc/nsregc", F_OK) == 0)
                skip();
        write_in(tree, ".nsregc/nsregc.yaml", "name: mine\n", 0644);
        setenv("HOME", tree->root, 1);
        unsetenv("XDG_CONFIG_HOME");
        assert_return_code(nsregc_config_load(NULL, &config, &error), 0);
        assert_string_equal(config->name, "mine");
        assert_string_equal(config->directory, directory);
        config = nsregc_config_free(config);
        assert_return_code(chown(path, 65534, 65534), 0);
        assert_return_code(nsregc_config_load(NULL, &config, &error), 0);
        assert_null(config->name);
        assert_false(config->found);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bad_documents),
                cmocka_unit_test(test_bad_nsregd),
                cmocka_unit_test(test_bad_nsregc),
                cmocka_unit_test(test_many_errors_are_bounded),
                cmocka_unit_test(test_nsregd_defaults),
                cmocka_unit_test(test_empty_configurations),
                cmocka_unit_test(test_state_directory),
                cmocka_unit_test(test_nsregd_values),
                cmocka_unit_test(test_short_leases),
                cmocka_unit_test(test_printed_configuration_reads_the_same),
                cmocka_unit_test(test_original_files_are_taken),
                cmocka_unit_test(test_nsregc_values),
                cmocka_unit_test_setup_teardown(test_drop_ins_beside_the_file, make_tree, remove_tree),
                cmocka_unit_test_setup_teardown(test_directory_of_the_file, make_tree, remove_tree),
                cmocka_unit_test_setup_teardown(test_files_are_known, make_tree, remove_tree),
                cmocka_unit_test_setup_teardown(test_drop_in_takes_back, make_tree, remove_tree),
                cmocka_unit_test_setup_teardown(test_error_in_a_drop_in, make_tree, remove_tree),
                cmocka_unit_test_setup_teardown(test_missing_files, make_tree, remove_tree),
                cmocka_unit_test_setup_teardown(test_directories_hide_one_another, make_tree, remove_tree),
                cmocka_unit_test_setup_teardown(test_readable_secret_is_warned_about, make_tree, remove_tree),
                cmocka_unit_test_setup_teardown(test_key_file, make_tree, remove_tree),
                cmocka_unit_test(test_zones_share_a_server),
                cmocka_unit_test(test_everybody_is_warned_about),
                cmocka_unit_test(test_a_failed_file_changes_nothing),
                cmocka_unit_test_setup_teardown(test_user_file, make_tree, remove_tree),
                cmocka_unit_test_setup_teardown(test_root_file, make_tree, remove_tree),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
