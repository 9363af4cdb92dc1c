"""Parquet for analysts: what Firehose writes is what the product sends and Athena reads, in files worth reading, and no query runs away."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatch

import duckdb
import pyarrow as pa
import pytest
from holding import alone, many, rules, text

from mailloom.stores.firehose import OTHER, PARTITION, WINDOW, columns, glue_columns, view_sql


@pytest.fixture(params=["dev", "staging", "prod"])
def stage(request):
    return request.param


def one(made, stage, kind):
    (found,) = made.all(stage, kind)
    return found


def delivery(made, stage):
    return one(made, stage, "AWS::KinesisFirehose::DeliveryStream").properties["ExtendedS3DestinationConfiguration"]


def lake(made, stage):
    """The bucket that Firehose writes to."""
    name = delivery(made, stage)["BucketARN"]["Fn::GetAtt"][0]
    (found,) = [each for each in made.all(stage, "AWS::S3::Bucket") if each.stack == "stores" and each.id == name]
    return found


def test_files_are_worth_reading(made, stage):
    hints = delivery(made, stage)["BufferingHints"]
    # Less than 64 MB isn't taken with conversion to Parquet, nor with partitions ("Buffering hints").
    assert 64 <= hints["SizeInMBs"] <= 128
    assert 60 <= hints["IntervalInSeconds"] <= 900
    if stage == "prod":
        assert hints == {"SizeInMBs": 128, "IntervalInSeconds": 900}


def test_records_become_parquet_by_the_table_that_athena_reads(made, stage):
    conversion = delivery(made, stage)["DataFormatConversionConfiguration"]
    assert conversion["Enabled"] is True
    assert conversion["InputFormatConfiguration"]["Deserializer"] == {"OpenXJsonSerDe": {}}
    assert "ParquetSerDe" in conversion["OutputFormatConfiguration"]["Serializer"]
    assert delivery(made, stage)["CompressionFormat"] == "UNCOMPRESSED"  # Firehose refuses another with Parquet
    table = one(made, stage, "AWS::Glue::Table")
    schema = conversion["SchemaConfiguration"]
    assert schema["TableName"] == table.properties["TableInput"]["Name"]
    assert schema["DatabaseName"] == table.properties["DatabaseName"]
    assert schema["DatabaseName"] == one(made, stage, "AWS::Glue::Database").properties["DatabaseInput"]["Name"]
    assert table.id in one(made, stage, "AWS::KinesisFirehose::DeliveryStream").body["DependsOn"]


def test_the_tables_columns_are_the_products(made, stage):
    table = one(made, stage, "AWS::Glue::Table").properties["TableInput"]
    found = table["StorageDescriptor"]["Columns"]
    assert found == glue_columns()
    assert len(found) > 30
    assert table["PartitionKeys"] == [{"Name": PARTITION, "Type": "string"}]


def test_a_record_lies_where_the_tables_partition_is(made, stage):
    found = delivery(made, stage)
    assert found["DynamicPartitioningConfiguration"]["Enabled"] is True
    (processor,) = found["ProcessingConfiguration"]["Processors"]
    parameters = {each["ParameterName"]: each["ParameterValue"] for each in processor["Parameters"]}
    assert processor["Type"] == "MetadataExtraction"
    assert parameters == {"MetadataExtractionQuery": "{month:.month}", "JsonParsingEngine": "JQ-1.6"}
    written = found["Prefix"].replace("!{partitionKeyFromQuery:month}", "2024-03")
    table = one(made, stage, "AWS::Glue::Table").properties["TableInput"]
    read = text(table["Parameters"]["storage.location.template"]).replace("${month}", "2024-03")
    assert read == f"s3://<{lake(made, stage).id}>/{written}"
    assert text(table["StorageDescriptor"]["Location"]) == f"s3://<{lake(made, stage).id}>/messages/"


def test_every_month_that_the_product_writes_is_a_partition(made, stage):
    parameters = one(made, stage, "AWS::Glue::Table").properties["TableInput"]["Parameters"]
    assert (parameters["projection.enabled"], parameters["projection.month.type"]) == ("true", "enum")
    months = parameters["projection.month.values"].split(",")
    assert len(months) == len(set(months)) == 12 * (WINDOW[1] - WINDOW[0]) + 1
    assert {f"{WINDOW[0]}-01", "2024-03", f"{WINDOW[1] - 1}-12", OTHER} <= set(months)


def test_what_cant_be_converted_is_set_aside_and_told(made, stage):
    found = delivery(made, stage)
    assert found["ErrorOutputPrefix"].startswith("errors/!{firehose:error-output-type}/")
    assert found["CloudWatchLoggingOptions"]["Enabled"] is True
    mine = rules(lake(made, stage).properties)
    assert mine["errors"]["Prefix"] == "errors/"
    assert mine["errors"]["ExpirationInDays"] >= 30


def test_firehose_may_write_its_prefixes_and_read_its_table_and_no_more(made, stage):
    role = delivery(made, stage)["RoleARN"]["Fn::GetAtt"][0]
    (found,) = [each for each in made.all(stage, "AWS::IAM::Role") if each.stack == "stores" and each.id == role]
    allowed = {
        (action, resource)
        for policy in found.properties["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in many(statement["Action"])
        for resource in many(statement["Resource"])
    }
    assert len(allowed) > 10
    assert not [action for action, _ in allowed if "*" in action]
    bucket = lake(made, stage).id
    assert {resource for action, resource in allowed if action == "s3:PutObject"} == {
        *(f"<{bucket}.Arn>/messages/*", f"<{bucket}.Arn>/errors/*")
    }
    tables = {resource.rsplit(":", 1)[1] for action, resource in allowed if action == "glue:GetTableVersions"}
    assert tables == {"catalog", f"database/mailloom_{stage}_lake", f"table/mailloom_{stage}_lake/messages"}
    assert {"kms:Decrypt", "kms:GenerateDataKey"} <= {action for action, _ in allowed}


def test_the_stream_is_encrypted_before_and_after_delivery(made, stage):
    stream = one(made, stage, "AWS::KinesisFirehose::DeliveryStream").properties
    assert stream["DeliveryStreamType"] == "DirectPut"  # only then it can be
    assert stream["DeliveryStreamEncryptionConfigurationInput"]["KeyType"] == "CUSTOMER_MANAGED_CMK"
    assert "AWSKMSKeyARN" in delivery(made, stage)["EncryptionConfiguration"]["KMSEncryptionConfig"]
    assert stream["DeliveryStreamName"] == f"mailloom-{stage}"


def test_a_query_stops_before_it_is_dear_whatever_the_client_says(made, stage):
    group = one(made, stage, "AWS::Athena::WorkGroup").properties
    found = group["WorkGroupConfiguration"]
    assert found["EnforceWorkGroupConfiguration"] is True
    assert 10_000_000 <= found["BytesScannedCutoffPerQuery"] <= 10**12  # 5 USD
    assert found["ResultConfiguration"]["EncryptionConfiguration"]["EncryptionOption"] == "SSE_KMS"
    assert text(found["ResultConfiguration"]["OutputLocation"]) == f"s3://<{lake(made, stage).id}>/results/"
    assert rules(lake(made, stage).properties)["results"]["ExpirationInDays"] <= 30


def test_the_view_that_has_each_mail_once_is_ready_and_queries_ask_it(made, stage):
    queries = [each.properties for each in made.all(stage, "AWS::Athena::NamedQuery")]
    assert len(queries) >= 4
    group = one(made, stage, "AWS::Athena::WorkGroup").properties["Name"]
    assert {query["WorkGroup"] for query in queries} == {group}
    database = f"mailloom_{stage}_lake"
    (view,) = [query["QueryString"] for query in queries if query["QueryString"].startswith("create")]
    assert view == view_sql(f"{database}.messages", f"{database}.mails")


def test_the_queries_run_on_the_products_columns(made, stage):
    """On DuckDB, whose SQL has all that these use."""
    queries = [each.properties["QueryString"] for each in made.all(stage, "AWS::Athena::NamedQuery")]
    connection = duckdb.connect()
    rows = pa.Table.from_pylist(
        [
            {"id": "1", "scope": "", "version": 1, "text": "old", "list_id": "", "pointer": ""},
            {"id": "1", "scope": "", "version": 2, "text": "newer", "list_id": "dev.example.org", "pointer": ""},
            {
                "id": "2",
                "scope": "",
                "version": 2,
                "text": "",
                "list_id": "dev.example.org",
                "pointer": "s3://b/k",
                "left_out": ["text"],
            },
        ],
        schema=columns(),
    )
    connection.register("rows", rows)
    connection.execute(f"create schema mailloom_{stage}_lake")
    connection.execute(f"create table mailloom_{stage}_lake.messages as select *, '2024-03' as month from rows")
    answers = {}
    for query in sorted(queries, key=lambda query: not query.startswith("create")):
        answers[query] = connection.execute(query).fetchall()
    assert [("2024-03", 2, 5)] in answers.values()
    assert [("dev.example.org", 2)] in answers.values()
    assert [("", "2", ["text"], "s3://b/k")] in answers.values()


def test_parquet_grows_cold_where_it_shall():
    from infra.config.load import load

    found = load()["staging"]
    cold = replace(found, lake=replace(found.lake, warm_days=30, cold_days=90, expire_days=400))
    buckets = [bucket for _, bucket in alone(cold)["AWS::S3::Bucket"] if "tiers" in rules(bucket)]
    (mine,) = [rules(bucket) for bucket in buckets]
    assert [step["StorageClass"] for step in mine["tiers"]["Transitions"]] == ["STANDARD_IA", "GLACIER_IR"]
    assert mine["expire"]["ExpirationInDays"] == 400
    assert fnmatch("messages/month=2024-03/x.parquet", f"{mine['tiers']['Prefix']}*")
