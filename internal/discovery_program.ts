/**
 * The programs that run on a host to register it, as text.
 *
 * They hold no value of any option: all values are in one JSON file that only
 * root can read. Plain string literals, so that a bundler may drop them.
 *
 * @module
 */

/** Where the programs find their settings. */
export const SETTINGS_PATH = "/etc/server_discovery.json";

/** What cloud-init runs at every boot: it keeps the log. */
export const BOOT_PROGRAM = `#!/bin/bash
# cloud-init runs this at every boot, the first one included, once the
# packages are installed.
set -u
umask 077
log=/var/log/server_discovery.log
status=1
{
  echo "=== START DECAPOD SERVER DISCOVERY ==="
  TZ=UTC printf '%(%Y-%m-%dT%H:%M:%SZ)T\\n' -1
  /usr/share/server_discovery.sh
  status=$?
  echo "=== FINISH DECAPOD SERVER DISCOVERY ==="
} >> "$log" 2>&1
if [ "$status" -ne 0 ]; then
  echo "Decapod server discovery failed with exit code $status, see $log"
fi
exit "$status"
`;

/** Finds a Python to run the program below with. */
export const SHELL_PROGRAM = `#!/bin/bash
# Registers this host in Decapod, with the Python that is there. An operator
# may run it by hand, as root, at any time.
#
# Exit codes: 127 if there is no Python, else those of server_discovery.py.
set -u
for python in python3 python python2; do
  if command -v "$python" > /dev/null; then
    exec "$python" /usr/share/server_discovery.py
  fi
done
echo "No Python found: install the package python3."
echo "Server discovery failed."
exit 127
`;

/**
 * Finds the host's id and address, and sends the POST. For Python 2.7 and 3
 * alike, the 3.5 of Ubuntu 16.04 included.
 */
export const PYTHON_PROGRAM =
  `"""Registers this host in Decapod: one POST that says who and where it is.

Exit codes:
  0  registered
  1  an error that nobody thought of
  2  /etc/server_discovery.json cannot be read
  3  the host has no system UUID
  4  no route to the API, or its name is unknown
  5  the API does not answer, or answers that it cannot serve now
  6  the API refuses the request
  7  the API's certificate is not what the CA certificate vouches for
"""
from __future__ import print_function

import contextlib
import functools
import io
import json
import random
import re
import socket
import ssl
import subprocess
import sys
import time
import traceback

try:
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.parse import urlsplit
    from urllib.request import (
        HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener)
except ImportError:  # Python 2
    from httplib import HTTPException
    from urllib2 import (
        HTTPError, HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request,
        build_opener)
    from urlparse import urlsplit

SETTINGS = "/etc/server_discovery.json"
PRODUCT_UUID = "/sys/class/dmi/id/product_uuid"


class Failure(Exception):
    """Why the host is not registered, and whether waiting may help."""

    def __init__(self, code, text, again=False):
        Exception.__init__(self, text)
        self.code = code
        self.again = again


class NoRedirect(HTTPRedirectHandler):
    """A redirect would take the token elsewhere, and lose the POST."""

    def redirect_request(self, *args):
        return None


def say(text):
    # At boot the locale is C: anything but ASCII could not be printed.
    print(text.encode("ascii", "backslashreplace").decode("ascii"))
    sys.stdout.flush()


def read_settings():
    try:
        with io.open(SETTINGS, encoding="utf-8") as stream:
            return json.load(stream)
    except EnvironmentError as error:
        raise Failure(2, "Cannot read the settings, is this root? %s" % error)
    except ValueError:  # Its text could quote the token.
        raise Failure(2, "Cannot read the settings: %s is no JSON" % SETTINGS)


def output(*command):
    """What a command prints; nothing if it is not there."""
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
    except EnvironmentError as error:
        say("Cannot run %s: %s" % (command[0], error))
        return ""
    return process.communicate()[0].decode("ascii", "replace")


def packed(text):
    """An IP address as bytes; None if the text is no address."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_pton(family, text)
        except (EnvironmentError, TypeError, ValueError):
            pass
    return None


def is_address(text):
    return packed(text) is not None


def system_uuid():
    """One UUID, though dmidecode may print comments, or be missing."""
    lines = output("dmidecode", "-s", "system-uuid").splitlines()
    try:
        with io.open(PRODUCT_UUID, encoding="ascii", errors="replace") as sysfs:
            lines += sysfs.read().splitlines()
    except EnvironmentError:
        pass  # No firmware tables here.
    for line in lines:
        uuid = line.strip().lower()
        # All zeros or all ones mean that the vendor never set it.
        if re.match("[0-9a-f-]{32,38}$", uuid) and len(set(uuid) - {"-"}) > 1:
            return uuid
    raise Failure(
        3, "No system UUID: neither dmidecode nor %s has one" % PRODUCT_UUID)


def public_address(opener, settings):
    """The address that the cloud's metadata service knows, if it does."""
    try:
        url, timeout = str(settings["metadata_url"]), settings["timeout"]
        with contextlib.closing(opener.open(url, timeout=timeout)) as answer:
            text = answer.read(64).decode("ascii").strip()
    except Exception:  # Most hosts have no such service: nothing to report.
        return None
    return text if is_address(text) else None


def own_address(api):
    """The address from which this host reaches the API."""
    if is_address(api):
        candidates = [api]
    else:
        # In the order in which connections are tried.
        lines = output("getent", "ahosts", api).splitlines()
        candidates = [line.split()[0] for line in lines if line.strip()]
        if not candidates:
            raise Failure(4, "Cannot resolve %s" % api, again=True)
    for candidate in candidates:
        words = output("ip", "route", "get", candidate).split()
        for name, value in zip(words, words[1:]):
            if name == "src" and is_address(value):
                return value
    raise Failure(4, "No route to %s" % api, again=True)


def match_host(match_name, certificate, host):
    """Python 2 looks for names in a certificate, and not for addresses."""
    if not is_address(host):
        return match_name(certificate, host)
    for kind, value in certificate.get("subjectAltName", ()):
        if kind == "IP Address" and packed(value) == packed(host):
            return None
    raise ssl.CertificateError("the certificate is not for %s" % host)


def https_handler(ca_certificate):
    if not hasattr(ssl, "create_default_context"):
        # Python before 2.7.9 verifies nothing.
        if ca_certificate:
            raise Failure(7, "This Python cannot verify certificates")
        return HTTPSHandler()
    if ca_certificate:
        try:
            context = ssl.create_default_context(cadata=ca_certificate)
        except (EnvironmentError, ValueError) as error:
            raise Failure(7, "Cannot use the CA certificate: %s" % error)
        # Since 3.13 Python refuses CAs without key identifiers, as private
        # ones often are; earlier versions, and curl, take them.
        context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        if sys.version_info[0] == 2:
            ssl.match_hostname = functools.partial(
                match_host, ssl.match_hostname)
    else:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return HTTPSHandler(context=context)


def register(opener, settings, host, uuid):
    url = str(settings["url"])
    body = {"username": settings["username"], "host": host, "id": uuid}
    request = Request(url, json.dumps(body).encode("ascii"), {
        "Content-Type": "application/json",
        "Authorization": str(settings["token"]),
        "User-Agent": "cloud-init server discovery",
    })
    try:
        answer = opener.open(request, timeout=settings["timeout"])
    except HTTPError as error:
        error.close()
        raise refusal(url, error.code)
    except (EnvironmentError, HTTPException, ValueError) as error:
        raise breakdown(url, getattr(error, "reason", error))
    with contextlib.closing(answer):
        headers = answer.info()
    if not headers.keys():  # Python 2 takes any text for HTTP/0.9.
        raise Failure(5, "%s does not speak HTTP" % url, again=True)
    if headers.get("Content-Type", "").lower().startswith("text/html"):
        raise Failure(6, "%s is a web page, not Decapod's API" % url)


def refusal(url, status):
    """The failure that an HTTP status stands for. No text of the answer is
    repeated: it could quote the token."""
    if status == 429 or status >= 500:
        return Failure(5, "%s answered %d" % (url, status), again=True)
    if status in (401, 403):
        hint = "the server discovery token is refused"
    elif status < 400:
        hint = "it redirects elsewhere, use the URL that it redirects to"
    else:
        hint = "is this the URL of Decapod's API?"
    return Failure(6, "%s answered %d: %s" % (url, status, hint))


def breakdown(url, reason):
    """The failure that an exception on the way to the API stands for."""
    if (type(reason).__name__ == "CertificateError"
            or "certificate verify failed" in str(reason).lower()):
        return Failure(7, "Cannot trust %s: %s" % (url, reason))
    # Only the operating system's own texts cannot quote the token.
    known = isinstance(reason, EnvironmentError)
    text = reason if known else type(reason).__name__
    return Failure(5, "Cannot reach %s: %s" % (url, text), again=True)


def discover():
    settings = read_settings()
    # Without the environment's proxies: the metadata service and the API see
    # the address that the host registers.
    opener = build_opener(
        ProxyHandler({}), NoRedirect(),
        https_handler(settings["ca_certificate"]))
    uuid = system_uuid()
    public = public_address(opener, settings)
    delays = list(settings["retry_delays"])
    while True:
        try:
            host = public or own_address(urlsplit(settings["url"]).hostname)
            host = host.lower()
            register(opener, settings, host, uuid)
            break
        except Failure as failure:
            if not failure.again or not delays:
                raise
            # Not all at once: a whole rack may boot together.
            delay = delays.pop(0) * random.uniform(0.5, 1)
            say("%s. Trying again in %.1f s." % (failure, delay))
        time.sleep(delay)
    say("Registered as %s, id %s." % (host, uuid))


def main():
    try:
        discover()
    except Failure as failure:
        say("%s." % failure)
        code = failure.code
    except Exception:  # Its text is left out: it could quote the token.
        kind, _, trace = sys.exc_info()
        where = ["%s:%d" % frame[:2] for frame in traceback.extract_tb(trace)]
        say("Unexpected %s at %s." % (kind.__name__, ", ".join(where)))
        code = 1
    else:
        say("Server discovery completed.")
        return 0
    say("Server discovery failed.")
    return code


if __name__ == "__main__":
    sys.exit(main())
`;
