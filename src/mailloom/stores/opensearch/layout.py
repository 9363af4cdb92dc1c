"""What the indices are called and how they are made: one template, an index a month, one alias to read.

    mail-messages                  the alias that search reads
    mail-messages-v1               the template: mappings, analysis, the alias
    mail-messages-v1-2024-03       messages of that month; what is dated outside of the window is in mail-messages-v1-other

The generation (v1) lets a reindex write a second set beside the first and switch the alias in one call.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pkgutil import get_data
from typing import Any

import orjson

from mailloom.mail.model import MessageId
from mailloom.ports import UserError
from mailloom.stores.opensearch.client import told

LAYOUT = 1
"""The version of template.json: raised with every change of it. What documents of the version before don't fit means a new generation."""
WINDOW = (1980, 2040)
"""Years that get an index a month; dates lie, and a lie must not make an index."""
DAY_MS = 86_400_000
OTHER = "other"
_UNDATED = b"\xff" * 6


@dataclass(frozen=True, slots=True)
class Names:
    """What the indices of one deployment are called. `generation` is the one that is written and installed."""

    prefix: str = "mail"
    generation: int = 1

    @property
    def alias(self) -> str:
        return f"{self.prefix}-messages"

    @property
    def template(self) -> str:
        return f"{self.alias}-v{self.generation}"

    def index(self, message: MessageId) -> str:
        """The index that holds a message: it follows from the id, so a message is never in two."""
        return f"{self.template}-{month(message)}"


def moment(message: MessageId) -> int | None:
    """The date in a message's id: ms since 1970, None for an undated one."""
    return None if message[:6] == _UNDATED else int.from_bytes(message[:6], "big")


def month(message: MessageId) -> str:
    """2024-03, or "other" outside of the window."""
    ms = moment(message)
    if ms is None:
        return OTHER
    date = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{date:%Y-%m}" if WINDOW[0] <= date.year < WINDOW[1] else OTHER


def first(days: int, now: int) -> str:
    """The month of the day that is `days` before `now` (ms since 1970): the first that search holds; "" where it holds all: 0 days, or so many
    that they reach back to before the window. Months are compared as text, and a year of three digits is above all others.
    """
    begins = now - days * DAY_MS
    if not days or begins <= datetime(WINDOW[0], 1, 1, tzinfo=UTC).timestamp() * 1000:
        return ""
    return f"{datetime.fromtimestamp(begins / 1000, UTC):%Y-%m}"


def expire(client: Any, names: Names, since: str) -> list[str]:
    """Delete the indices of the months before `since` (see first); their names. "other" stays: nobody knows how old its mail is."""
    if not since:
        return []
    with told(f"indices {names.template}-*"):
        found = client.indices.get_alias(index=f"{names.template}-*")
    old = sorted(name for name in found if name.removeprefix(f"{names.template}-") < since)
    for name in old:
        with told(f"index {name}"):
            client.indices.delete(index=name, params={"ignore": 404})
    return old


def install(
    client: Any, names: Names, *, shards: int = 1, replicas: int = 1, refresh: str = "10s", read: bool = True
) -> bool:
    """Put the template, where there is none, an older one or one with other settings; False where there was nothing to do. `read`: new indices
    are searched at once, without it they wait for `switch`; of a template that is there it stays as it is. So do indices that
    exist, but for those that lack the alias that their template gives. Raises UserError where a newer mailloom put its own.
    """
    found = _found(client, names)
    if found is not None and int(found.get("version", 0)) > LAYOUT:
        raise UserError(
            f"OpenSearch's template {names.template} has version {found['version']}, this mailloom knows {LAYOUT}: use a newer mailloom"
        )
    wanted = {"number_of_shards": str(shards), "number_of_replicas": str(replicas), "refresh_interval": refresh}
    has = found["template"] if found is not None else {}
    if found is not None and found.get("version") == LAYOUT:
        index = has.get("settings", {}).get("index", {})
        if wanted.items() <= {name: index.get(name) for name in wanted}.items():
            return _give_alias(client, names) if names.alias in has.get("aliases", {}) else False
    body = orjson.loads(get_data(__package__, "template.json") or b"")
    body["settings"] |= {f"index.{name}": value for name, value in wanted.items()}
    fresh: dict[str, Any] = {names.alias: {}} if read else {}
    body["aliases"] = has.get("aliases", {}) if found is not None else fresh
    template = {"index_patterns": [f"{names.template}-*"], "priority": 200, "version": LAYOUT, "template": body}
    with told(f"template {names.template}"):
        client.indices.put_index_template(name=names.template, body=template)
    return True


def _give_alias(client: Any, names: Names) -> bool:
    """To each index that lacks it, as one may that was restored from a snapshot; whether there was any."""
    with told(f"alias {names.alias}"):
        found = client.indices.get_alias(index=f"{names.template}-*")
        lacking = [name for name, index in sorted(found.items()) if names.alias not in index["aliases"]]
        actions = [{"add": {"index": name, "alias": names.alias}} for name in lacking]
        if actions:
            client.indices.update_aliases(body={"actions": actions})
    return bool(actions)


def check(client: Any, names: Names) -> None:
    """Raises UserError unless the template is there in this version or a newer one: without it OpenSearch would guess the mappings. A newer one takes
    this version's documents (see LAYOUT), so this version goes on while the next one is brought out.
    """
    version = _version(client, names)
    if version is None:
        raise UserError(f"OpenSearch has no template {names.template}: run `mailloom migrate` once for this deployment")
    if version < LAYOUT:
        raise UserError(
            f"OpenSearch's template {names.template} has version {version}, this mailloom needs {LAYOUT}: run `mailloom migrate`"
        )


def switch(client: Any, names: Names) -> None:
    """Let search read this generation's indices, and no other's, from one instant on. Doing it again does no harm."""
    with told(f"alias {names.alias}"):
        _point(client, names)
        for found in client.indices.get_index_template(name=f"{names.alias}-v*")["index_templates"]:
            name, template = found["name"], found["index_template"]
            template["template"]["aliases"] = {names.alias: {}} if name == names.template else {}
            client.indices.put_index_template(name=name, body=template)
        _point(client, names)  # what was made by the templates as they were before


def _point(client: Any, names: Names) -> None:
    indices = client.indices.get_alias(index=f"{names.alias}-v*")
    mine = {name for name in indices if name.startswith(f"{names.template}-")}
    read = {name for name, index in indices.items() if names.alias in index["aliases"]}
    actions = [{"add": {"index": name, "alias": names.alias}} for name in sorted(mine - read)]
    actions += [{"remove": {"index": name, "alias": names.alias}} for name in sorted(read - mine)]
    if actions:
        client.indices.update_aliases(body={"actions": actions})


def _found(client: Any, names: Names) -> dict[str, Any] | None:
    """The template that is there."""
    with told(f"template {names.template}"):
        found = client.indices.get_index_template(name=names.template, params={"ignore": 404})
    templates = found.get("index_templates", ())
    return dict(templates[0]["index_template"]) if templates else None


def _version(client: Any, names: Names) -> int | None:
    found = _found(client, names)
    return None if found is None else int(found.get("version", 0))
