# SPDX-License-Identifier: LGPL-2.1-or-later
# Completes nsregctl: verbs, options, and the names and zones that the registrar has.

set -l verbs status list show zones upstreams reserved revoke withdraw reserve unreserve abandon-import forget monitor \
    flush reconcile reload statistics client
set -l requests status refresh release rediscover reload
set -l no_verb "not __fish_seen_subcommand_from $verbs"

# The first column of what a verb lists.
function __nsregctl_column
    nsregctl --no-pager --no-legend $argv 2>/dev/null | string replace -r '\s.*' ''
end

complete -c nsregctl -f
complete -c nsregctl -s h -l help -d 'Show help'
complete -c nsregctl -l version -d 'Show the version'
complete -c nsregctl -l json -x -a 'pretty short' -d 'JSON instead of tables'
complete -c nsregctl -s l -l full -d 'Leave out nothing, however wide a table gets'
complete -c nsregctl -l no-pager -d 'Do not pipe long output into a pager'
complete -c nsregctl -l no-legend -d 'No headings, no remarks'
complete -c nsregctl -n '__fish_seen_subcommand_from list' -l type -x -a 'any A AAAA SSHFP TXT TLSA SRV HTTPS SVCB' -d 'Records of this type'
complete -c nsregctl -n '__fish_seen_subcommand_from revoke' -l block -d 'Refuse the key for this name from now on'
complete -c nsregctl -n '__fish_seen_subcommand_from statistics' -l prometheus -d 'In the text format of Prometheus'

complete -c nsregctl -n $no_verb -a status -d 'Both daemons at a glance'
complete -c nsregctl -n $no_verb -a list -d 'List registered names'
complete -c nsregctl -n $no_verb -a show -d 'Show all about one name'
complete -c nsregctl -n $no_verb -a zones -d 'List zones'
complete -c nsregctl -n $no_verb -a upstreams -d 'List the DNS servers that names are carried into'
complete -c nsregctl -n $no_verb -a reserved -d 'List reserved names and refused keys'
complete -c nsregctl -n $no_verb -a revoke -d 'Take a name from its owner'
complete -c nsregctl -n $no_verb -a withdraw -d 'Take a name out of the DNS, keep its owner'
complete -c nsregctl -n $no_verb -a reserve -d 'Let nobody claim a name'
complete -c nsregctl -n $no_verb -a unreserve -d 'Let a name be claimed again'
complete -c nsregctl -n $no_verb -a abandon-import -d 'Give up a key file that cannot be imported'
complete -c nsregctl -n $no_verb -a forget -d 'Forget a DNS server that is configured no more'
complete -c nsregctl -n $no_verb -a monitor -d 'Show events as they happen'
complete -c nsregctl -n $no_verb -a flush -d 'Try failing DNS servers again now'
complete -c nsregctl -n $no_verb -a reconcile -d 'Compare DNS servers with what they should have'
complete -c nsregctl -n $no_verb -a reload -d 'Let nsregd read its configuration again'
complete -c nsregctl -n $no_verb -a statistics -d 'Show counters'
complete -c nsregctl -n $no_verb -a client -d 'Speak to nsregc'

complete -c nsregctl -n '__fish_seen_subcommand_from list abandon-import' -a '(__nsregctl_column zones)'
complete -c nsregctl -n '__fish_seen_subcommand_from show revoke withdraw' -a '(__nsregctl_column list)'
complete -c nsregctl -n '__fish_seen_subcommand_from unreserve' -a '(__nsregctl_column reserved)'
complete -c nsregctl -n "__fish_seen_subcommand_from client; and not __fish_seen_subcommand_from $requests[2..4]" \
    -a "$requests"
