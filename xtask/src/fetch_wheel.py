"""Fetches one wheel from a package index and unpacks it, with nothing but the standard library.

Arguments: the index, the package, an empty directory to unpack into, and the SHA-256 that the wheel must have.
Exit code 3 means that the index or the wheel could not be had; the reason is on standard error.
"""

import hashlib
import html
import io
import os
import re
import sys
import urllib.parse
import urllib.request
import zipfile

STEP = 1 << 18


def fetch(index, package, sha256):
    """The bytes of the wheel."""
    page = urllib.parse.urljoin(index.rstrip("/") + "/", package + "/")
    with urllib.request.urlopen(page, timeout=60) as answer:
        links = re.findall(r'href="([^"#]+)#sha256=([0-9a-f]{64})"', answer.read().decode())
    found = [html.unescape(link) for link, digest in links if digest == sha256]
    if not found:
        raise OSError("%s has no wheel with the SHA-256 %s" % (page, sha256))
    with urllib.request.urlopen(urllib.parse.urljoin(page, found[0]), timeout=60) as answer:
        return read(answer, int(answer.headers.get("Content-Length") or 0))


def read(answer, length):
    """All that comes, with a line for each quarter of it."""
    data = bytearray()
    told = 0
    while chunk := answer.read(STEP):
        data += chunk
        if length and len(data) * 4 // length > told:
            told = len(data) * 4 // length
            print("  %3d %% of %.0f MB" % (told * 25, length / 1e6), flush=True)
    return bytes(data)


def unpack(wheel, directory):
    """As `unzip` would: programs stay programs."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        for entry in archive.infolist():
            path = archive.extract(entry, directory)
            mode = entry.external_attr >> 16 & 0o777
            if mode and not entry.is_dir():
                os.chmod(path, mode)


def main(index, package, directory, sha256):
    try:
        wheel = fetch(index, package, sha256)
    except OSError as error:
        print(error, file=sys.stderr)
        sys.exit(3)
    if hashlib.sha256(wheel).hexdigest() != sha256:
        sys.exit("what was sent has not the SHA-256 that the index promised")
    unpack(wheel, directory)


main(*sys.argv[1:])
