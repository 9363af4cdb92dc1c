"""What the validator's function costs a mail: CPU, memory, and how long it waits where stores are as far away as on AWS.

    python bench/validator_cost.py [MAIL...] [--most N] [--batches 10 100 1000] [--delay MS]

Puts mails into a bucket of its own on the servers that `make services` starts, and calls the handler (`mailloom.run.aws_lambda.validate`) in a
process of its own with events as Lambda hands them over, so that receiving and deleting them, which Lambda does itself, is not counted. CPU
is user and system time of that process from the second call on; memory is its peak, so that process imports nothing but the handler. With --delay a proxy before each server holds back
each request and each answer for half of that time.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


WARM = 10  # events of the first call: clients, connections, code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("mail", nargs="*", help="folders, mboxes, archives (default: made-up mail)")
    parser.add_argument("--most", type=int, default=2000)
    parser.add_argument("--batches", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument(
        "--delay", type=float, default=0.0, help="ms between a request and its answer, beside the server's own"
    )
    parser.add_argument("--profile", action="store_true", help="print the functions that took most of the main thread")
    parser.add_argument("--child", nargs=2, metavar=("EVENTS", "BATCH"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        events, batch = given.child
        print(json.dumps(_call(json.loads(Path(events).read_text()), int(batch), given.profile)))
        return
    from services import stack
    from services.servers import SERVERS, url
    from worker_cost import far, mails_of

    mails = list(islice(mails_of(given.mail, given.most), given.most))
    running = stack.start(SERVERS)
    with ExitStack() as ends:
        urls = {name: url(name, running[name].port) for name in SERVERS}
        for name in ("aws", "dynamodb"):
            urls[f"{name}, far"] = ends.enter_context(far(urls[name], given.delay))
        for batch in given.batches:
            found = _run(urls, mails, batch, given)
            print(
                f"batches of {batch}: {found['cpu']:.2f} ms CPU, {found['wall']:.2f} ms in all a mail; "
                f"peak {found['rss'] / 1024:.0f} MB ({found['start'] / 1024:.0f} when it began)",
                flush=True,
            )


def _run(urls: dict[str, str], mails: list[bytes], batch: int, given: argparse.Namespace) -> dict[str, Any]:
    """A bucket, queues and tables of its own, and one process that is handed all events."""
    from mailloom.stores.dynamodb import create
    from services.profile import lay_out
    from worker_cost import opened

    with tempfile.TemporaryDirectory() as place:
        name = f"cost{secrets.token_hex(4)}"
        profile = lay_out(urls, name, Path(place))
        os.environ.update(profile.environ)
        servers = opened(profile.config)
        create(servers.clients.aws("dynamodb"), servers.settings.aws.tables)
        servers.close()
        s3, records = profile.client("s3"), []
        for number, raw in enumerate([*mails[:WARM], *mails]):
            key = f"raw/source=bench/date=2026-11-01/{number:08}.eml"
            etag = s3.put_object(Bucket=profile.name, Key=key, Body=raw)["ETag"].strip('"')
            records.append(_record(profile.name, {"key": key, "size": len(raw), "eTag": etag}))
        events = Path(place) / "events.json"
        events.write_text(json.dumps(records))
        env = profile.env() | {
            "MAILLOOM_AWS_ENDPOINT_URL": urls["aws, far"],
            "MAILLOOM_AWS_DYNAMODB_URL": urls["dynamodb, far"],
        }
        words = ["--child", str(events), str(batch), *(["--profile"] if given.profile else [])]
        done = subprocess.run([sys.executable, __file__, *words], env=env, check=True, stdout=subprocess.PIPE)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


# ------------------------------------------------------------------------------------------------ the function's process
def _call(records: list[dict[str, Any]], batch: int, profiled: bool) -> dict[str, Any]:
    from mailloom.run.aws_lambda import validate

    _ended(validate({"Records": records[:WARM]}))
    start, mails = _peak(), len(records) - WARM
    calls = [{"Records": records[at : at + batch]} for at in range(WARM, len(records), batch)]
    used, began = _cpu(), time.monotonic()
    profiler = cProfile.Profile()
    for event in calls:
        _ended(profiler.runcall(validate, event) if profiled else validate(event))
    used, wall = _cpu() - used, time.monotonic() - began
    if profiled:
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(40)
    return {"cpu": 1000 * used / mails, "wall": 1000 * wall / mails, "rss": _peak(), "start": start}


def _record(bucket: str, thing: dict[str, Any]) -> dict[str, Any]:
    """A message of S3 as Lambda hands it over, with what S3 puts into one."""
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-11-01T12:00:00.000Z",
        "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "192.0.2.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "mail",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {**thing, "sequencer": "0055AED6DCD90281E5"},
        },
    }
    body = json.dumps({"Records": [record]})
    attributes = {"ApproximateReceiveCount": "1", "SentTimestamp": "1793534400000"}
    return {
        "messageId": thing["key"],
        "receiptHandle": "r" * 300,
        "body": body,
        "attributes": attributes,
        "messageAttributes": {},
    }


def _ended(answer: dict[str, Any]) -> None:
    assert answer == {"batchItemFailures": []}, answer


def _peak() -> int:
    """KB. What getrusage tells begins with that of the process that started this one."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
