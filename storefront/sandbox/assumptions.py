"""What the sandbox does that no source states: our guesses, by place, and where each place can be seen."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from storefront.sandbox.language import N_

ASSUMPTIONS: Mapping[str, Sequence[str]] = {
    N_("Pages in the container"): (
        N_("GET and POST only; any other method is 405, and the app is not asked."),
        N_("The address is absolute, ASCII, and of the app's own scheme, host and port, else 400."),
        N_("The ids of app and user stand behind whatever the address has already."),
        N_("Redirects count with 301, 302, 303 and 307; the phone is sent on by 302, and goes on by GET."),
        N_("A Location may be absolute, relative to the page, or ?url= in the container."),
        N_("A Location elsewhere, or an app that is silent, slow or not trusted: error screen, 502."),
        N_("Of an answer's headers the phone gets Content-Type and Cache-Control."),
        N_("Bars are put behind <body> and before </body> of HTML and XHTML; images are rerouted."),
        N_("Images: <img src> of the app only, by GET, never redirected, and only for those with the app."),
        N_("Forbidden links are marked in the wire log and left on the page; relative ones lead nowhere."),
        N_("Pseudo-schemes such as invite:friends are allowed and do nothing here."),
        N_("A browser that is no phone is given the User-Agent of a handset of its user's carrier."),
        N_("Whoever has no app, or another device in hand, is led home. Opening the app adds it unasked."),
        N_("Container, images and payment screens stand on one host, below /ma/, /mm/ and /point/."),
        N_("Every request has a connection of its own; its time counts from the look-up of the name."),
    ),
    N_("Point API"): (
        N_("Checked in turn: signature, body hash, user, rate, approval, Content-Type, document."),
        N_("400: a rule of the document; 401: signature; 403: user or approval; 404: unknown code."),
        N_("A refusal is a sentence in text/plain; what is wrong with a signature is in OAuth's words."),
        N_("No body hash is parameter_absent; a wrong one, or over 100 parameters, parameter_rejected."),
        N_("A nonce is used up for as long as its timestamp would be accepted."),
        N_("The base string may have https in place of http; the log remarks on it."),
        N_("The rate counts signed requests about a user within any minute; Retry-After says the rest."),
        N_("Used is: a page in the container, a start address, a payment screen."),
        N_("Content-Type needs type=entry; its case and other parameters, such as charset, are free."),
        N_("A document begins with its XML declaration, has no byte order mark and no DTD, is UTF-8."),
        N_("A document has at most 64 KB; the longest that the rules allow has some two."),
        N_("Each element is there exactly once, the empty ones empty; unknown ones are passed over."),
        N_("Points are up to nine digits and nothing else. A name is not blank."),
        N_("callback_url and finish_url are http or https, of any host and port, without a fragment."),
        N_("is_test may be false as well as true; another value is refused."),
        N_("The most points at creation go by the device on which the buyer opened the app last."),
        N_("A confirmation marks a test purchase as the request did."),
        N_("A buyer may have any number of open payments at once."),
        N_("A code has 20 letters and digits; the link's attributes stand in either sequence."),
        N_("In full maintenance: 503 and Retry-After, before anything is looked at."),
        N_("Points are given back by the platform alone; no callback tells of it, a confirmation does."),
    ),
    N_("Payment screen"): (
        N_("Its looks, words and steps; what top-ups there are, and that they cost nothing."),
        N_("It is its buyer's own: 403 for anybody else. When its time is up it answers 410."),
        N_("On a smartphone or PC the first look counts as the app's redirect."),
        N_("The device in hand decides how many points may be paid at once."),
        N_("Of two presses one asks the app; the other waits for it."),
        N_("Points that another open purchase is about to take are set aside for it."),
        N_("After a refused callback the buyer may try again and again while the screen is open."),
        N_("A refused cancellation leaves the payment as it was; it can be tried again, too."),
        N_("A failed purchase goes back to the app with status=20, one paid back with status=10."),
        N_("Somebody who has removed the app meanwhile can still finish at an open screen."),
        N_("If the points have gone elsewhere by the time of the OK, nothing is charged in spite of it."),
        N_("Outside the container the way back leads straight to finish_url, unsigned."),
        N_("There are no limits for minors."),
    ),
    N_("Callback"): (
        N_("It is asked once for each press; the platform repeats nothing by itself."),
        N_("A redirect is no OK. What stands behind text/plain in Content-Type does not matter."),
        N_("The ten seconds count to the last byte of the answer; it has at most 64 KB."),
        N_("updated is the moment of asking, in the confirmation as well."),
        N_("A question whose process has died is lost five seconds after the app's time was up."),
        N_("A cancellation is told to the app, too, and needs its OK."),
    ),
    N_("Life cycle and start"): (
        N_("Events go out as GET, at once, in sequence, up to 100 of a kind; none says who invited."),
        N_("Up to 499 an event is done with; 5xx and silence are tried again with the next one."),
        N_("Keys are RSA of 2048 bits, named by us; certificates stand under /certificates/, and stay."),
        N_("An own domain is opened by an address signed by RSA, as a link or a form."),
        N_("Owner and viewer are the same. Each opening has a nonce of its own."),
        N_("On a PC the app stands in a frame of the platform's page, on a smartphone in none."),
    ),
}


class Place(NamedTuple):
    """Where guesses show: a word for its address, the pages that show it, and the settings that are its own.

    A page is an endpoint, what it takes, and its name.
    """

    word: str
    pages: Sequence[tuple[str, Mapping[str, str], str]]
    settings: Sequence[str]


HOME, LOG = N_("Home"), N_("Wire log")
PLACES: Mapping[str, Place] = {
    "Pages in the container": Place(
        "container",
        [("phone.home", {}, HOME), ("log.show", {"kind": "page"}, LOG)],
        ["page_seconds", "image_seconds", "max_page_bytes", "max_redirects", "replace_error_pages"],
    ),
    "Point API": Place(
        "api",
        [("log.show", {"kind": "api"}, LOG), ("signatures.show", {}, N_("Signatures"))],
        [
            "min_point",
            "max_point",
            "max_point_pc",
            "name_width",
            "api_timestamp_skew",
            "rate_limit",
            "unused_seconds",
            "removed_user_status",
            "in_development",
            "approved",
        ],
    ),
    "Payment screen": Place(
        "screen",
        [("phone.home", {}, HOME)],
        ["interface_ttl"],
    ),
    "Callback": Place(
        "callback",
        [("log.show", {"kind": "callback"}, LOG), ("books.show", {}, N_("Books"))],
        ["callback_seconds", "strict_ok_body", "void_after", "confirm_pause"],
    ),
    "Life cycle and start": Place(
        "start",
        [("developer.show", {}, N_("Developer")), ("log.show", {"kind": "lifecycle"}, LOG)],
        ["lifecycle_seconds", "hold_events"],
    ),
}
