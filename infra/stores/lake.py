"""For analysts: Firehose writes Parquet by month, Glue says what it is, Athena reads it and stops where it grows dear."""

from __future__ import annotations

from typing import NamedTuple

import aws_cdk as cdk
from aws_cdk import aws_athena as athena
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra import keep
from infra.config.stages import Stage
from infra.log_groups import log_group
from infra.nag import accept
from infra.stores import named_queries
from mailloom.stores.firehose import OTHER, PARTITION, WINDOW, glue_columns

MESSAGES, ERRORS, RESULTS = "messages/", "errors/", "results/"
TABLE = "messages"
ERROR_DAYS = 90
"""What Firehose couldn't convert is kept; somebody should have looked by then."""
GLUE = ["glue:GetTable", "glue:GetTableVersion", "glue:GetTableVersions"]
FIREHOSE_S3 = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
FIREHOSE_BUCKET = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]


class Made(NamedTuple):
    bucket: s3.Bucket
    stream: firehose.CfnDeliveryStream
    glue_database: str
    workgroup: str


def lake(scope: Construct, stage: Stage, key: kms.Key) -> Made:
    bucket = keep.bucket(scope, "Lake", stage, key, keep.logs_of_access(scope, stage), _rules(stage))
    name = f"{stage.prefix}-lake".replace("-", "_")  # Athena's DDL takes no other sign
    table = _table(scope, name, bucket)
    stream = _stream(scope, stage, key, bucket, name, table)
    return Made(bucket, stream, name, _workgroup(scope, stage, key, bucket, name))


def _rules(stage: Stage) -> list[s3.LifecycleRule]:
    mine = stage.lake
    rules = keep.tiers(
        "tiers",
        MESSAGES,
        (s3.StorageClass.INFREQUENT_ACCESS, mine.warm_days),
        (s3.StorageClass.GLACIER_INSTANT_RETRIEVAL, mine.cold_days),
    )
    if mine.expire_days:
        rules.append(keep.gone("expire", MESSAGES, mine.expire_days))
    return [
        *rules,
        keep.gone("errors", ERRORS, ERROR_DAYS),
        keep.gone("results", RESULTS, mine.results_days),
    ]


def months() -> list[str]:
    """Every partition that the product writes."""
    return [*(f"{year}-{month:02}" for year in range(*WINDOW) for month in range(1, 13)), OTHER]


def _table(scope: Construct, database: str, bucket: s3.Bucket) -> glue.CfnTable:
    """The table, with its partitions as a rule (projection): no crawler, no `msck repair`, and a new month is there at once."""
    stack = cdk.Stack.of(scope)
    made = glue.CfnDatabase(
        scope,
        "Catalog",
        catalog_id=stack.account,
        database_input=glue.CfnDatabase.DatabaseInputProperty(name=database, description="Mail as Parquet"),
    )
    place = f"s3://{bucket.bucket_name}/{MESSAGES}"
    table = glue.CfnTable(
        scope,
        "Messages",
        catalog_id=stack.account,
        database_name=database,
        table_input=glue.CfnTable.TableInputProperty(
            name=TABLE,
            description="A row a delivery of Firehose: ask the view, which has each message once",
            table_type="EXTERNAL_TABLE",
            partition_keys=[glue.CfnTable.ColumnProperty(name=PARTITION, type="string")],
            parameters={
                "classification": "parquet",
                "projection.enabled": "true",
                f"projection.{PARTITION}.type": "enum",
                f"projection.{PARTITION}.values": ",".join(months()),
                "storage.location.template": f"{place}{PARTITION}=${{{PARTITION}}}/",
            },
            storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
                columns=[
                    glue.CfnTable.ColumnProperty(name=column["Name"], type=column["Type"]) for column in glue_columns()
                ],
                location=place,
                input_format="org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                output_format="org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
                serde_info=glue.CfnTable.SerdeInfoProperty(
                    serialization_library="org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
                ),
            ),
        ),
    )
    table.add_resource_dependency(made)
    return table


def _stream(
    scope: Construct, stage: Stage, key: kms.Key, bucket: s3.Bucket, database: str, table: glue.CfnTable
) -> firehose.CfnDeliveryStream:
    log = log_group(scope, "StreamLog", stage, encryption_key=key)
    delivery = logs.LogStream(
        scope, "StreamLogDelivery", log_group=log, log_stream_name="delivery", removal_policy=cdk.RemovalPolicy.DESTROY
    )
    role = _role(scope, key, bucket, database, log)
    made = firehose.CfnDeliveryStream
    stream = firehose.CfnDeliveryStream(
        scope,
        "Stream",
        delivery_stream_name=stage.prefix,
        delivery_stream_type="DirectPut",
        delivery_stream_encryption_configuration_input=made.DeliveryStreamEncryptionConfigurationInputProperty(
            key_type="CUSTOMER_MANAGED_CMK", key_arn=key.key_arn
        ),
        extended_s3_destination_configuration=made.ExtendedS3DestinationConfigurationProperty(
            bucket_arn=bucket.bucket_arn,
            role_arn=role.role_arn,
            prefix=f"{MESSAGES}{PARTITION}=!{{partitionKeyFromQuery:{PARTITION}}}/",
            error_output_prefix=f"{ERRORS}!{{firehose:error-output-type}}/date=!{{timestamp:yyyy-MM-dd}}/",
            buffering_hints=made.BufferingHintsProperty(
                size_in_m_bs=stage.lake.buffer_mb, interval_in_seconds=stage.lake.buffer_seconds
            ),
            compression_format="UNCOMPRESSED",  # Parquet compresses its own pages
            encryption_configuration=made.EncryptionConfigurationProperty(
                kms_encryption_config=made.KMSEncryptionConfigProperty(awskms_key_arn=key.key_arn)
            ),
            cloud_watch_logging_options=made.CloudWatchLoggingOptionsProperty(
                enabled=True, log_group_name=log.log_group_name, log_stream_name=delivery.log_stream_name
            ),
            dynamic_partitioning_configuration=made.DynamicPartitioningConfigurationProperty(
                enabled=True, retry_options=made.RetryOptionsProperty(duration_in_seconds=300)
            ),
            processing_configuration=made.ProcessingConfigurationProperty(enabled=True, processors=[_by_month()]),
            data_format_conversion_configuration=_parquet(scope, role, database),
        ),
    )
    stream.node.add_dependency(table)  # Firehose looks at it when it is made
    return stream


def _by_month() -> firehose.CfnDeliveryStream.ProcessorProperty:
    made = firehose.CfnDeliveryStream
    parameters = {"MetadataExtractionQuery": f"{{{PARTITION}:.{PARTITION}}}", "JsonParsingEngine": "JQ-1.6"}
    return made.ProcessorProperty(
        type="MetadataExtraction",
        parameters=[
            made.ProcessorParameterProperty(parameter_name=name, parameter_value=value)
            for name, value in parameters.items()
        ],
    )


def _parquet(
    scope: Construct, role: iam.Role, database: str
) -> firehose.CfnDeliveryStream.DataFormatConversionConfigurationProperty:
    made, stack = firehose.CfnDeliveryStream, cdk.Stack.of(scope)
    return made.DataFormatConversionConfigurationProperty(
        enabled=True,
        input_format_configuration=made.InputFormatConfigurationProperty(
            deserializer=made.DeserializerProperty(open_x_json_ser_de=made.OpenXJsonSerDeProperty())
        ),
        output_format_configuration=made.OutputFormatConfigurationProperty(
            serializer=made.SerializerProperty(parquet_ser_de=made.ParquetSerDeProperty(compression="SNAPPY"))
        ),
        schema_configuration=made.SchemaConfigurationProperty(
            catalog_id=stack.account,
            database_name=database,
            table_name=TABLE,
            region=stack.region,
            role_arn=role.role_arn,
            version_id="LATEST",
        ),
    )


def _role(scope: Construct, key: kms.Key, bucket: s3.Bucket, database: str, log: logs.LogGroup) -> iam.Role:
    stack = cdk.Stack.of(scope)
    catalog = [("catalog", None), ("database", database), ("table", f"{database}/{TABLE}")]
    rights = (
        (FIREHOSE_S3, [bucket.arn_for_objects(f"{MESSAGES}*"), bucket.arn_for_objects(f"{ERRORS}*")]),
        (FIREHOSE_BUCKET, [bucket.bucket_arn]),
        (GLUE, [stack.format_arn(service="glue", resource=kind, resource_name=name) for kind, name in catalog]),
        (["kms:Decrypt", "kms:GenerateDataKey"], [key.key_arn]),
        (["logs:PutLogEvents"], [log.log_group_arn]),
    )
    role = iam.Role(
        scope,
        "StreamRole",
        assumed_by=iam.ServicePrincipal(
            "firehose.amazonaws.com", conditions={"StringEquals": {"sts:ExternalId": stack.account}}
        ),
        inline_policies={"delivery": keep.policy(rights)},
    )
    bucket_id = stack.get_logical_id(bucket.node.default_child)
    for prefix in (MESSAGES, ERRORS):
        accept(role, f"AwsSolutions-IAM5[Resource::<{bucket_id}.Arn>/{prefix}*]", "Firehose names its own objects")
    return role


def _workgroup(scope: Construct, stage: Stage, key: kms.Key, bucket: s3.Bucket, database: str) -> str:
    """Queries stop at lake.scan_gb, whatever the client says, and their answers are under the stack's key."""
    made = athena.CfnWorkGroup
    group = athena.CfnWorkGroup(
        scope,
        "Queries",
        name=stage.prefix,
        recursive_delete_option=not stage.protect,
        work_group_configuration=made.WorkGroupConfigurationProperty(
            enforce_work_group_configuration=True,
            bytes_scanned_cutoff_per_query=stage.lake.scan_gb * 10**9,
            publish_cloud_watch_metrics_enabled=True,
            engine_version=made.EngineVersionProperty(selected_engine_version="Athena engine version 3"),
            result_configuration=made.ResultConfigurationProperty(
                output_location=f"s3://{bucket.bucket_name}/{RESULTS}",
                encryption_configuration=made.EncryptionConfigurationProperty(
                    encryption_option="SSE_KMS", kms_key=key.key_arn
                ),
            ),
        ),
    )
    for query in named_queries.named(f"{database}.{TABLE}", f"{database}.mails"):
        named = athena.CfnNamedQuery(
            scope,
            f"Query{query.name.title().replace(' ', '')}",
            name=query.name,
            description=query.tells,
            database=database,
            work_group=stage.prefix,
            query_string=query.sql,
        )
        named.add_resource_dependency(group)
    return stage.prefix
