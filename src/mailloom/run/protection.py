"""Scale-in protection of a task on ECS: while a worker holds mail, another task is stopped when there are too many.

The container agent takes the wish at $ECS_AGENT_URI ("Task scale-in protection endpoint", Amazon ECS developer guide); elsewhere the variable isn't
set and nothing happens. It is no more than a wish: a task that is stopped all the same finishes what it holds, or its mail comes again. So what fails
here is told once and stops nothing.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from mailloom import obs

MINUTES: Final = 2
"""How long a wish holds. It is never taken back: a call for every small pause of the queue would be too many for the API."""
RENEW: Final = 75.0
"""Seconds after which it is renewed where mail is held still."""
MOST: Final = 600.0
"""Seconds that a worker is protected in a row: a deployment waits for protected tasks, and a worker whose queue is never empty would hold it up for ever."""
PAUSE: Final = 240.0
"""Seconds from the last wish to the next after that: the last one holds for two minutes, then there is none for as long."""
TIMEOUT: Final = 2.0


@dataclass(slots=True)
class Protection:
    """`put` asks for that many minutes of it, and may raise OSError."""

    put: Callable[[int], None]
    began: float | None = None
    asked: float = 0.0
    told: bool = False

    def tell(self, *, holds: bool, now: float) -> None:
        """Whether mail is held, said every few seconds; `now` in monotonic seconds. Asks where it is time to."""
        if self.began is not None:
            tired = now - self.began > MOST - RENEW
            if now - self.asked > (PAUSE if tired else 60.0 * MINUTES):
                self.began = None
            elif tired or now - self.asked < RENEW:
                return
        if not holds:
            return
        self.began = now if self.began is None else self.began
        self.asked = now
        try:
            self.put(MINUTES)
        except (OSError, http.client.HTTPException) as error:
            if not self.told:
                obs.log.warning("no scale-in protection", why=type(error).__name__)
            self.told = True


def from_agent(environ: Mapping[str, str]) -> Protection | None:
    """The protection that the agent of ECS gives; None where there is no agent."""
    agent = urlsplit(environ.get("ECS_AGENT_URI", ""))
    host = agent.hostname
    if agent.scheme != "http" or not host:
        return None

    def put(minutes: int) -> None:
        connection = http.client.HTTPConnection(host, agent.port, timeout=TIMEOUT)
        try:
            body = json.dumps({"ProtectionEnabled": True, "ExpiresInMinutes": minutes})
            headers = {"Content-Type": "application/json"}
            connection.request("PUT", f"{agent.path.rstrip('/')}/task-protection/v1/state", body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status >= 300:
                raise OSError(f"the agent of ECS answers {answer.status}")
        finally:
            connection.close()

    return Protection(put)
