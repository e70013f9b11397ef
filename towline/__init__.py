"""The domain: policies, dialects and audit as pure functions; registries over HTTP."""

import sys

# Where Typer is installed, httpx would import its own command line, and with it rich and pygments, which takes half as
# long again as httpx itself. It is ready to be without.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
