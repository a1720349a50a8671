"""Addresses of stores on servers: https://… and s3://…"""

import posixpath

from gammastack.errors import InputError

SCHEMES = ("https", "http", "s3")


def is_remote(place):
    """Return whether a place is an address, not a folder or file."""
    return "://" in str(place)


def refuse_secrets(url, key):
    """Refuse an address with credentials in it, which would be in records and messages."""
    _, _, place = url.partition("://")
    if "@" in place.partition("/")[0] or {*place} & {*"?#"}:
        raise InputError(
            f"{key}: an address must not have a user, a password, or anything after ? or #"
            " in it: it would be in records and messages. Put a password for a web server"
            " into ~/.netrc, keys for an object store into ~/.aws ('aws configure')"
        )


def require_address(url, key):
    """Refuse an address of a kind that is not known."""
    scheme, _, place = url.partition("://")
    if scheme not in SCHEMES or not place.partition("/")[0]:
        raise InputError(
            f"{key}: '{url}' is not an address like https://host/folder or"
            " s3://bucket/folder; files of this computer are given as a folder"
        )


def joined(url, *names):
    """Return the address of a file, given by names of folders and files from another one."""
    scheme, _, place = url.partition("://")
    host, _, folder = place.partition("/")
    path = posixpath.normpath(posixpath.join("/", folder, *names))
    return f"{scheme}://{host}/{path.lstrip('/')}"


def split_bucket(url):
    """Return the scheme with host or bucket of an address, and the path behind it."""
    scheme, _, place = url.partition("://")
    host, _, path = place.partition("/")
    return f"{scheme}://{host}", path
