"""The servers that tests stand on: each answers, listens on loopback only, and is gone after stop."""

from __future__ import annotations

import io
from collections.abc import Callable
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
