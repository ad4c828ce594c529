/** The program that registers a host, as text, and the paths on the host. */

/** The settings file: it contains all option values, the program none. */
export const SETTINGS_PATH = "/etc/server_discovery.json";

/** cloud-init runs every program in this folder at every boot. */
export const PROGRAM_PATH =
  "/var/lib/cloud/scripts/per-boot/server_discovery.py";

/** For Python 3.5 and newer; a plain literal, so that bundlers can drop it. */
export const PROGRAM = `#!/usr/bin/env python3
"""Registers this host in Decapod: one POST with its user, address and id.

cloud-init runs this program at every boot; root can run it at any time.
"""
import contextlib
import ipaddress
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
import traceback
import uuid
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

SETTINGS = "/etc/server_discovery.json"
LOG = "/var/log/server_discovery.log"
DMI_UUID = "/sys/class/dmi/id/product_uuid"
PLACEHOLDER_PREFIXES = (
    "01234567", "12345678", "87654321", "03000200040005000006000700080009",
    "10000000000080000040000000000000", "4c4c454400002010802080c04f202020",
    "4c4c454400202010802020c04f202020")


class Failure(Exception):
    """Why the host is not registered, and whether to retry."""

    def __init__(self, code, text, retry=False):
        super().__init__(text)
        self.code = code
        self.retry = retry


def say(text):
    """Writes a line to the terminal and to the log."""
    # The locale is C at boot, where only ASCII can be printed.
    line = text.encode("ascii", "backslashreplace").decode("ascii")
    print(line, flush=True)
    with contextlib.suppress(OSError), open(LOG, "a") as log:
        print(line, file=log)


def time_out(signal_number, frame):
    raise socket.timeout("timed out")


@contextlib.contextmanager
def deadline(seconds):
    """Limits all of a block: a socket's timeout limits only one operation."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def read_settings():
    try:
        with open(SETTINGS, encoding="utf-8") as stream:
            return json.load(stream)
    except OSError as error:
        raise Failure(2, "Cannot read settings, not root? {}".format(error))
    except ValueError:  # Its text could quote the token.
        raise Failure(2, "{} is not valid JSON".format(SETTINGS))


def run(*command):
    """Returns the lines that a command prints; none if it is missing."""
    try:
        result = subprocess.run(command, stdout=subprocess.PIPE)
    except OSError as error:
        say("Cannot run {}: {}".format(command[0], error))
        return []
    return result.stdout.decode("ascii", "replace").splitlines()


def is_placeholder(value):
    """Whether vendors ship this UUID with many boards."""
    for data in (value.bytes, value.bytes_le):
        digits = data.hex()
        steps = {(b - a) % 256 for a, b in zip(data, data[1:])}
        if (len(set(digits)) < 4
                or len(steps) == 1  # 00010203-0405-...
                or all(byte % 17 == 0 for byte in data)  # 11111111-2222-...
                or any(digits[n:] == digits[:-n] for n in range(1, 17))
                or digits.startswith(PLACEHOLDER_PREFIXES)):
            return True
    return False


def system_uuid():
    lines = run("dmidecode", "-s", "system-uuid")
    with contextlib.suppress(OSError), open(DMI_UUID, errors="replace") as dmi:
        lines += dmi.readlines()
    reason = "No system UUID from dmidecode or {}".format(DMI_UUID)
    for line in lines:
        text = line.strip().lower()
        try:
            value = uuid.UUID(text)
        except ValueError:  # dmidecode prints comments, too.
            continue
        if not is_placeholder(value):
            return text
        reason = "The firmware's UUID is a placeholder ({})".format(text)
    raise Failure(3, '{}; set "id" in {} to a UUID of your choice'.format(
        reason, SETTINGS))


def is_routable(address):
    """Whether an address can be one of a host on a network."""
    return not (
        address.is_unspecified or address.is_loopback or address.is_link_local
        or address.is_multicast or address.is_reserved
        or address.version == 4 and address.packed[0] == 0)


def resolve(name):
    """The addresses of a host, in the order in which to try them."""
    with contextlib.suppress(ValueError):
        return [str(ipaddress.ip_address(name))]
    addresses = []
    for line in run("getent", "ahosts", name):
        addresses += set(line.split()[:1]).difference(addresses)
    # /etc/hosts has names without the dot that ends an absolute name.
    if not addresses and name.endswith("."):
        return resolve(name.rstrip("."))
    return addresses


def route_sources(address):
    """The source addresses of the route to an address."""
    words = " ".join(run("ip", "route", "get", address)).split()
    # Old versions of ip print a source for unreachable networks, too.
    if "error" in words or set(words[:1]) & {
            "unreachable", "prohibit", "blackhole", "throw"}:
        return []
    return [value for name, value in zip(words, words[1:]) if name == "src"]


def connect(url, timeout):
    """Connects to the first address that accepts the connection."""
    port = url.port or (443 if url.scheme == "https" else 80)
    failure = Failure(4, "Cannot resolve {}".format(url.hostname), True)
    for address in resolve(url.hostname):
        try:
            return socket.create_connection((address, port), timeout)
        except OSError as error:
            if (isinstance(error, (ConnectionError, socket.timeout))
                    or route_sources(address)):
                failure = network_failure(url.geturl(), error)
            elif failure.code == 4:
                failure = Failure(4, "No route to {}".format(address), True)
    raise failure


def own_address(connection):
    """The address from which this host reaches the API."""
    # The connection knows it, too: for hosts without the command ip.
    addresses = (route_sources(connection.getpeername()[0])
                 or [connection.getsockname()[0]])
    for address in addresses:
        with contextlib.suppress(ValueError):
            value = ipaddress.ip_address(address)
            if is_routable(value):
                return str(value)
    raise Failure(4, "Other hosts cannot reach this one at {}".format(
        " or ".join(addresses)))


@contextlib.contextmanager
def exchange(method, url, connection, tls, body=None, headers={}):
    """Sends a request and yields the response."""
    if url.scheme == "https":
        # The dot that ends an absolute name is not part of a certificate.
        connection = tls.wrap_socket(
            connection, server_hostname=url.hostname.rstrip("."))
    with contextlib.closing(HTTPConnection(url.netloc)) as client:
        client.sock = connection
        target = url._replace(scheme="", netloc="").geturl() or "/"
        client.request(method, target, body, headers)
        yield client.getresponse()


def public_address(settings, tls):
    """The address that the cloud's metadata service has for this host."""
    try:
        url = urlsplit(settings["metadata_url"])
        with deadline(settings["timeout"]):
            connection = connect(url, settings["timeout"])
            with exchange("GET", url, connection, tls) as response:
                text = response.read().decode("ascii").strip()
        address = ipaddress.ip_address(text)
        return str(address) if (
            response.status == 200 and is_routable(address)) else None
    except Exception:  # Most hosts have no such service.
        return None


def tls_context(ca_certificate):
    if not ca_certificate:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        context = ssl.create_default_context(cadata=ca_certificate)
    except (OSError, ValueError) as error:
        raise Failure(7, "Cannot use the CA certificate: {}".format(error))
    # Trust an issuing CA without its root (X509_V_FLAG_PARTIAL_CHAIN), and
    # accept CAs without key identifiers, which private ones often lack.
    context.verify_flags |= 0x80000
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    return context


def register(settings, tls, public, host_id):
    """Sends the POST and returns the registered address."""
    url, timeout = urlsplit(settings["url"]), settings["timeout"]
    connection = connect(url, timeout)
    host = public or own_address(connection)
    body = {"username": settings["username"], "host": host, "id": host_id}
    headers = {
        "Content-Type": "application/json",
        "Authorization": settings["token"],
        "User-Agent": "cloud-init server discovery",
    }
    try:
        with deadline(timeout), exchange(
                "POST", url, connection, tls, json.dumps(body).encode(),
                headers) as response:
            check(settings["url"], response)
    except (OSError, HTTPException, ValueError) as error:
        raise network_failure(settings["url"], error)
    return host


def check(url, response):
    """Raises unless the API accepted the POST."""
    status = response.status
    content_type = response.getheader("Content-Type", "").lower()
    unavailable = status in (408, 425, 429) or status >= 500
    for applies, code, hint in (
            (unavailable, 5, "the API is not available"),
            (status in (401, 403), 6, "the server discovery token is wrong"),
            (status >= 400, 6, "is this the URL of Decapod's API?"),
            (status >= 300, 6, "use the URL that it redirects to"),
            (content_type.startswith("text/html"), 6, "this is a web page")):
        if applies:
            # No text of the response: it could quote the token. An ingress
            # may respond 404 until the API behind it is up.
            raise Failure(code, "{} responded {}: {}".format(
                url, status, hint), unavailable or status == 404)


def network_failure(url, error):
    if (isinstance(error, ssl.CertificateError)
            or getattr(error, "reason", "") == "CERTIFICATE_VERIFY_FAILED"):
        # A certificate is not yet valid (9) until NTP has set the clock.
        # Python before 3.7 does not say what is wrong.
        return Failure(7, "Cannot verify {}: {}".format(url, error),
                       getattr(error, "verify_code", 9) == 9)
    # Only texts of the operating system never quote the token.
    text = error if isinstance(error, OSError) else type(error).__name__
    return Failure(5, "Cannot reach {}: {}".format(url, text), True)


def discover():
    settings = read_settings()
    tls = tls_context(settings["ca_certificate"])
    host_id = str(settings.get("id") or "").strip() or system_uuid()
    host_id = host_id.lower()
    public = public_address(settings, tls)
    delays = list(settings["retry_delays"])
    while True:
        try:
            host = register(settings, tls, public, host_id)
            say("Registered as {}, id {}.".format(host, host_id))
            return
        except Failure as failure:
            if not failure.retry or not delays:
                raise
            # Jitter: a whole rack may boot at the same time.
            delay = delays.pop(0) * random.uniform(0.5, 1)
            say("{}. Trying again in {:.1f} s.".format(failure, delay))
        time.sleep(delay)


def main():
    os.umask(0o077)
    signal.signal(signal.SIGALRM, time_out)
    say("=== START DECAPOD SERVER DISCOVERY ===")
    say(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    code = 0
    try:
        discover()
    except Failure as failure:
        say("{}.".format(failure))
        code = failure.code
    except Exception as error:  # Its text could quote the token.
        frames = traceback.extract_tb(error.__traceback__)
        say("Unexpected {} at lines {}.".format(
            type(error).__name__, [frame[1] for frame in frames]))
        code = 1
    say("Server discovery {}.".format("failed" if code else "completed"))
    say("=== FINISH DECAPOD SERVER DISCOVERY ===")
    return code


if __name__ == "__main__":
    sys.exit(main())
`;
