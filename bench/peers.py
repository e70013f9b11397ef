"""The tools that copies are compared with, and what a comparison without them says."""

import shutil

from tests.support.goprograms import CRANE, NotBuiltError


class LeftOutError(Exception):
    """A comparison cannot be made on this machine; the text says why."""


def skopeo() -> str:
    """Return the path of skopeo.

    Raises:
        LeftOutError: it is not installed.
    """
    found = shutil.which("skopeo")
    if found is None:
        raise LeftOutError("skopeo is not installed: apt-get install skopeo")
    return found


def crane() -> str:
    """Return the path of crane, built when it is not there yet.

    Raises:
        LeftOutError: it is not there and cannot be built.
    """
    try:
        return str(CRANE.build())
    except NotBuiltError as error:
        raise LeftOutError(str(error)) from error
