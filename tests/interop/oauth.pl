# Another implementation of OAuth 1.0a, Net::OAuth, at our command.
#
#   oauth.pl sign   URL QUERY KEY SECRET           prints the Authorization header for a GET
#   oauth.pl verify URL QUERY SECRET HEADER < BODY  prints "accepted" or "refused" for a POST
use strict;
use warnings;
use Digest::SHA qw(sha1);
use MIME::Base64 qw(encode_base64);
use Net::OAuth;
use Net::OAuth::ConsumerRequest;
use URI;

Net::OAuth::ConsumerRequest->add_optional_message_params('body_hash');
$Net::OAuth::PROTOCOL_VERSION = Net::OAuth::PROTOCOL_VERSION_1_0A;

my ($verb, $url, $query, @rest) = @ARGV;
my %query = URI->new("?$query")->query_form;

if ($verb eq 'sign') {
    my ($key, $secret) = @rest;
    my $request = Net::OAuth->request('consumer')->new(
        consumer_key     => $key,
        consumer_secret  => $secret,
        request_url      => $url,
        request_method   => 'GET',
        signature_method => 'HMAC-SHA1',
        timestamp        => time,
        nonce            => join('', map { int rand 10 } 1 .. 20),
        extra_params     => \%query,
    );
    $request->sign;
    my $header = $request->to_authorization_header('', ', ');
    print $header;
}
else {
    my ($secret, $header) = @rest;
    my $body = do { local $/; binmode STDIN; <STDIN> };
    my $request = Net::OAuth->request('consumer')->from_authorization_header(
        $header,
        request_url     => $url,
        request_method  => 'POST',
        consumer_secret => $secret,
        extra_params    => \%query,
    );
    my $hashed = ($request->body_hash // '') eq encode_base64(sha1($body), '');
    print $request->verify && $hashed ? 'accepted' : 'refused';
}
