"""In charge of what webhooks are by rule: events they may hear, addresses they may have, when a delivery is retried."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from urllib.parse import urlsplit

from tanglai.catalogue.workflow.errors import Problem, ProblemCode
from tanglai.catalogue.workflow.machines import MatterKind

MOST_WEBHOOKS = 10
"""Webhooks that one department may have."""
MAX_URL = 1_000
MAX_KINDS = 100
MAX_ATTEMPTS = 10
"""Tries of one delivery; after the last one it is dead until somebody retries it."""
LEASE_SECONDS = 60.0
"""For so long a try belongs to the node that began it; then it counts as lost."""
KEPT_DAYS = 30
"""Days for which a delivered one is kept; the dead are kept."""

_FIRST_WAIT = 10.0
_LONGEST_WAIT = 6 * 3600.0
_TASKS = frozenset(f"task.{kind}" for kind in MatterKind)


class DeliveryState(StrEnum):
    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    DEAD = "DEAD"


def wait_after(attempt: int, chance: float) -> float:
    """Seconds until the next try after `attempt` tries: 10 s, three times as long after each, 6 hours at most.

    `chance`, from 0 to 1, spreads the tries of many deliveries: between a half and the whole of that.
    """
    return float(min(_FIRST_WAIT * 3 ** (attempt - 1), _LONGEST_WAIT)) * (0.5 + chance / 2)


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """Where the operator lets webhooks go: names with their ports. Only these, and only by https.

    An entry is `host` or `host:port`, or, on this machine alone, `http://host:port`. None: webhooks are off.
    """

    entries: frozenset[tuple[str, str, int]] = frozenset()

    @classmethod
    def read(cls, texts: Iterable[str]) -> "AllowedHosts":
        """Raises ValueError for what is no entry."""
        entries = set()
        for text in texts:
            parts = urlsplit(text if "://" in text else f"https://{text}")
            host = parts.hostname
            plain = (
                not (parts.path or parts.query or parts.fragment or parts.username is not None)
                and host
                and parts.scheme in ("http", "https")
            )
            if not plain or host is None or "*" in host:
                raise ValueError(f"a host has the form `host` or `host:port`, not `{text}`")
            if parts.scheme == "http" and not loopback(host):
                raise ValueError(f"`{text}`: http is for this machine alone")
            entries.add((parts.scheme, host, _port(parts.scheme, parts.port)))
        return cls(frozenset(entries))

    def __bool__(self) -> bool:
        return bool(self.entries)

    def refusal(self, url: str) -> str | None:
        """Why `url` is no address for webhooks here; None where it is one."""
        if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
            return "an address is a URL of printable ASCII characters"
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            return "an address is a URL"
        if parts.scheme not in ("https", "http") or not host:
            return "an address begins with `https://` and a host"
        if parts.username is not None or parts.password is not None:
            return "an address holds no name and no password"
        if parts.fragment:
            return "an address has no fragment"
        if (parts.scheme, host, _port(parts.scheme, port)) not in self.entries:
            return "the operator of this platform allows no webhooks to this host"
        return None


def loopback(host: str) -> bool:
    """Whether `host` can only mean this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _port(scheme: str, port: int | None) -> int:
    return port if port is not None else 443 if scheme == "https" else 80


def kind_problems(kinds: Iterable[str]) -> list[Problem]:
    """What is wrong with the events that a webhook wants to hear.

    `task` and `notice` are all of theirs, `task.<kind of matter>` and `notice.<kind of notice>` some.
    """
    found = []
    for position, kind in enumerate(kinds):
        group, dot, rest = kind.partition(".")
        known = kind in _TASKS if group == "task" and dot else group in ("task", "notice")
        word = not dot or (rest.isascii() and rest.isupper() and rest.replace("_", "").isalnum())
        if not known or not word or len(kind) > MAX_URL or position >= MAX_KINDS:
            message = f"`{kind[:80]}` is no event: `task`, `notice`, `task.APPLICATION`, `notice.GRANT_ENDED` ..."
            found.append(Problem(("kinds", str(position)), ProblemCode.UNKNOWN, message))
    return found
