# SPDX-License-Identifier: LGPL-2.1-or-later
# Completes nsregd.

complete -c nsregd -s h -l help -d 'Show help'
complete -c nsregd -l version -d 'Show the version'
complete -c nsregd -s c -l conffile -r -F -d 'Read this configuration'
complete -c nsregd -l check-config -d 'Check the configuration and exit'
complete -c nsregd -l print -d 'Print the configuration in force, and exit'
complete -c nsregd -l import-keydb -d 'Take over key files of the original nsregd and exit'
complete -c nsregd -l debug -d 'Log everything'
