# SPDX-License-Identifier: LGPL-2.1-or-later
# Completes nsregc.

complete -c nsregc -f
complete -c nsregc -s h -l help -d 'Show help'
complete -c nsregc -l version -d 'Show the version'
complete -c nsregc -s c -l conffile -r -F -d 'Read this configuration'
complete -c nsregc -s n -l name -x -d 'Register this name, one label'
complete -c nsregc -s i -l interface -x -a '(string replace -r ".*/" "" /sys/class/net/*)' -d 'Use addresses of this interface only'
complete -c nsregc -s a -l address -x -d 'Register this address too'
complete -c nsregc -s s -l server -x -d 'Ask this server'
complete -c nsregc -s t -l tcp -d 'Ask it over TCP'
complete -c nsregc -s k -l keep -d 'Leave the records in the DNS at the end'
complete -c nsregc -l once -d 'Register, wait for the answer, end'
complete -c nsregc -l release -d 'Take the records away, give up the name, end'
complete -c nsregc -l acme-challenge -x -a 'add remove' -d 'Register a value at _acme-challenge, or take it away, end'
complete -c nsregc -l roll-key -d 'Make a new key, signed in by the old one, end'
complete -c nsregc -l generate-key -d 'Make a new key where there is none, end'
complete -c nsregc -l print -d 'Show the configuration as it is understood, end'
complete -c nsregc -l debug -d 'Log more'
