#!/usr/bin/perl
# SPDX-License-Identifier: LGPL-2.1-or-later
# SIG(0) by Net::DNS::SEC:
#   sig0.pl sign PRIVATE-KEY-FILE KEY-FILE ZONE NAME ADDRESS > message
#   sig0.pl verify KEY-FILE MESSAGE-FILE
use strict;
use warnings;
use Net::DNS;
use Net::DNS::SEC;
use Net::DNS::RR::SIG;

sub slurp {
    my ($path) = @_;
    local $/;
    open my $file, '<:raw', $path or die "$path: $!\n";
    return scalar <$file>;
}

sub key_rr {
    my ($path) = @_;
    return Net::DNS::RR->new(join ' ', grep { !/^;/ } split /\n/, slurp($path));
}

my ($verb, @arguments) = @ARGV;
binmode STDOUT;

if ($verb eq 'sign') {
    my ($private, $key, $zone, $name, $address) = @arguments;
    my $update = Net::DNS::Update->new($zone);
    my $type   = $address =~ /:/ ? 'AAAA' : 'A';
    $update->push(update     => rr_add("$name 300 $type $address"));
    $update->push(additional => key_rr($key));
    $update->sign_sig0($private);
    print $update->data;
}
elsif ($verb eq 'verify') {
    my ($key, $message) = @arguments;
    my $wire   = slurp($message);
    my $packet = Net::DNS::Packet->new(\$wire) or die "not a message\n";
    my $sig    = $packet->sigrr or die "no SIG(0)\n";

    # What is signed are the octets as sent: the message without its last RR, which is counted out.
    my $rr_length = 1 + 10 + 18 + length(Net::DNS::DomainName->new($sig->signame)->encode) + length $sig->sigbin;
    my $signed    = substr $wire, 0, length($wire) - $rr_length;
    substr $signed, 10, 2, pack 'n', unpack('n', substr $signed, 10, 2) - 1;

    unless ($sig->verify($signed, key_rr($key))) {
        print STDERR 'refused: ', $sig->vrfyerrstr, "\n";
        exit 255;    # die would take whatever errno happens to be
    }
    print $sig->signame, "\n";
}
else {
    die "usage: sig0.pl sign|verify ...\n";
}
