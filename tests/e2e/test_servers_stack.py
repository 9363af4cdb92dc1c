"""The servers that tests stand on: each answers, listens on loopback only, and is gone after stop."""

from __future__ import annotations

import io
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.servers


def test_postgres_gives_each_test_an_empty_database(postgres_url: str) -> None:
    import psycopg

    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone() == (0,)
        assert connection.execute("show server_version_num").fetchone()[0].startswith("18")
        assert connection.execute("show timezone").fetchone() == ("UTC",)


def test_valkey_gives_each_test_an_empty_database(valkey_url: str) -> None:
    import redis

    with redis.Redis.from_url(valkey_url) as client:
        assert client.dbsize() == 0
        client.set("a", "b", ex=10)
        assert client.get("a") == b"b"
        assert client.info("server")["valkey_version"].startswith("9.")


def test_dynamodb_tells_what_a_write_costs(boto: Callable[[str], Any], prefix: str) -> None:
    client = boto("dynamodb")
    client.create_table(
        TableName=prefix,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    said = client.put_item(TableName=prefix, Item={"pk": {"S": "a"}}, ReturnConsumedCapacity="TOTAL")
    assert said["ConsumedCapacity"]["CapacityUnits"] == 1.0
    with pytest.raises(client.exceptions.ConditionalCheckFailedException):
        client.put_item(TableName=prefix, Item={"pk": {"S": "a"}}, ConditionExpression="attribute_not_exists(pk)")


def test_s3_tells_sqs_of_an_object(boto: Callable[[str], Any], prefix: str) -> None:
    s3, sqs = boto("s3"), boto("sqs")
    s3.create_bucket(Bucket=prefix, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    queue = sqs.create_queue(QueueName=prefix)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    s3.put_bucket_notification_configuration(Bucket=prefix, NotificationConfiguration=events)
    s3.put_object(Bucket=prefix, Key="a b.eml", Body=io.BytesIO(b"Subject: x\r\n\r\n"))
    bodies: list[str] = []
    while not any("ObjectCreated" in body for body in bodies):  # the first message may be the test event
        bodies += [message["Body"] for message in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]]
    assert "a+b.eml" in bodies[-1]


def test_opensearch_finds_a_document(opensearch_url: str, prefix: str) -> None:
    from opensearchpy import OpenSearch

    with OpenSearch(opensearch_url) as client:
        client.index(index=prefix, id="1", body={"text": "the loom weaves"}, refresh=True)
        found = client.search(index=prefix, body={"query": {"match": {"text": "loom"}}})
        assert found["hits"]["total"]["value"] == 1
        client.indices.delete(index=prefix)


def test_all_listen_on_loopback_only(server: Callable[[str], str]) -> None:
    from services.servers import SERVERS

    ports = {int(server(name).split(":")[-1].split("/")[0]) for name in SERVERS}
    seen = set()
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port in ports:
            assert connection.laddr.ip in {"127.0.0.1", "::1", "::ffff:127.0.0.1"}, connection
            seen.add(connection.laddr.port)
    assert seen == ports


def test_postgres_keeps_its_data_over_a_kill(own_server: Callable[[str], Any]) -> None:
    import psycopg

    own = own_server("postgres")
    with psycopg.connect(own.url) as connection:
        connection.execute("create table kept (n int)")
    own.kill()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(own.url, connect_timeout=2)
    own.start()
    with psycopg.connect(own.url) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (0,)


def test_a_held_server_accepts_and_is_silent(own_server: Callable[[str], Any]) -> None:
    import redis

    own = own_server("valkey")
    with redis.Redis.from_url(own.url, socket_timeout=0.2, retry=None) as client:
        assert client.ping()
        with own.held(), pytest.raises(redis.TimeoutError):
            client.ping()
        assert client.ping()


def test_stop_leaves_no_process_and_no_data(tmp_path: Path) -> None:
    from services import stack
    from services.servers import SERVERS

    fast = [name for name in SERVERS if name != "opensearch"]
    begun = stack.start(fast, tmp_path)
    families = [[running.process(), *running.process().children(recursive=True)] for running in begun.values()]
    assert stack.start(fast, tmp_path) == begun  # what runs is left alone
    assert sorted(stack.stop(folder=tmp_path)) == sorted(fast)
    assert [process for family in families for process in family if not stack.gone(process)] == []
    assert [running.data for running in begun.values() if Path(running.data).exists()] == []
    assert stack.load(tmp_path) == {}
    assert stack.stop(folder=tmp_path) == []


def test_a_server_that_dies_is_named_with_its_last_words(tmp_path: Path) -> None:
    from services import stack
    from services.fetch import Unavailable

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=r"(?s)valkey .*valkey.log ends:.*bind") as told:
            stack.start(["valkey"], tmp_path, {"valkey": port})
    assert str(tmp_path) in str(told.value)
    assert stack.load(tmp_path) == {}


def test_a_run_that_was_killed_is_tidied_up_by_the_next() -> None:
    import servers
    from services import stack

    over = subprocess.Popen(["true"])
    over.wait()
    folder = stack.ROOT / "build" / "services-run" / str(over.pid)
    left = stack.start(["valkey"], folder)["valkey"]
    servers.sweep()
    assert left.process() is None
    assert not folder.exists()
