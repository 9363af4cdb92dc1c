"""Aurora: somebody takes over, nothing is lost for 14 days, nobody knows the password, and no mail stands in a log."""

from __future__ import annotations

from dataclasses import replace

import pytest
from holding import alone, many, text


@pytest.fixture(params=["dev", "staging", "prod"])
def stage(request):
    return request.param


def one(made, stage, kind):
    (found,) = made.all(stage, kind)
    return found.properties


def test_the_engine_is_one_that_the_cdk_knows_of_the_major_version_of_the_tests(made, stage):
    from aws_cdk import aws_rds as rds

    cluster = one(made, stage, "AWS::RDS::DBCluster")
    versions = rds.AuroraPostgresEngineVersion
    known = {
        getattr(versions, name).aurora_postgres_full_version for name in dir(versions) if name.startswith("VER_18")
    }
    assert known
    assert cluster["Engine"] == "aurora-postgresql"
    assert cluster["EngineVersion"] in known
    assert {instance.properties["Engine"] for instance in made.all(stage, "AWS::RDS::DBInstance")} == {
        "aurora-postgresql"
    }
    assert one(made, stage, "AWS::RDS::DBClusterParameterGroup")["Family"] == "aurora-postgresql18"


def test_capacity_is_serverless_and_bounded(made, stage):
    capacity = one(made, stage, "AWS::RDS::DBCluster")["ServerlessV2ScalingConfiguration"]
    assert 0.5 <= capacity["MinCapacity"] < capacity["MaxCapacity"] <= 256
    instances = made.all(stage, "AWS::RDS::DBInstance")
    assert len(instances) == {"dev": 1, "staging": 2, "prod": 2}[stage]
    for instance in instances:
        assert instance.properties["DBInstanceClass"] == "db.serverless"
        assert instance.properties["PubliclyAccessible"] is False


def test_a_reader_takes_over_and_more_come_under_load(made, stage):
    targets = made.all(stage, "AWS::ApplicationAutoScaling::ScalableTarget")
    found = [target for target in targets if target.stack == "stores"]
    if stage == "dev":
        assert found == []
        return
    (target,) = found
    (policy,) = [
        policy for policy in made.all(stage, "AWS::ApplicationAutoScaling::ScalingPolicy") if policy.stack == "stores"
    ]
    assert target.properties["ScalableDimension"] == "rds:cluster:ReadReplicaCount"
    assert 1 <= target.properties["MinCapacity"] < target.properties["MaxCapacity"] <= 15
    tracking = policy.properties["TargetTrackingScalingPolicyConfiguration"]
    metric = tracking["PredefinedMetricSpecification"]["PredefinedMetricType"]
    assert (policy.properties["PolicyType"], metric) == ("TargetTrackingScaling", "RDSReaderAverageCPUUtilization")
    tiers = sorted(instance.properties["PromotionTier"] for instance in made.all(stage, "AWS::RDS::DBInstance"))
    assert tiers == [0, 1]  # the reader is as large as the writer, so it can take over


def test_backups_reach_back_14_days_and_a_deployment_cant_delete_production(made, stage):
    cluster = one(made, stage, "AWS::RDS::DBCluster")
    assert cluster["BackupRetentionPeriod"] == 14
    assert cluster["DeletionProtection"] is (stage == "prod")
    assert cluster["StorageEncrypted"] is True
    assert "Fn::GetAtt" in cluster["KmsKeyId"]
    assert cluster.get("StorageType", "aurora") == "aurora"


def test_aurora_makes_and_changes_the_password_and_the_proxy_reads_it(made, stage):
    (cluster,) = made.all(stage, "AWS::RDS::DBCluster")
    assert cluster.properties["ManageMasterUserPassword"] is True
    assert "MasterUserPassword" not in cluster.properties
    secret = {"Fn::GetAtt": [cluster.id, "MasterUserSecret.SecretArn"]}
    (auth,) = one(made, stage, "AWS::RDS::DBProxy")["Auth"]
    assert (auth["SecretArn"], auth["ClientPasswordAuthType"]) == (secret, "POSTGRES_SCRAM_SHA_256")
    (rights,) = [
        policy.properties["PolicyDocument"]["Statement"]
        for policy in made.all(stage, "AWS::IAM::Policy")
        if policy.stack == "stores" and "Proxy" in policy.id
    ]
    assert {action for each in rights for action in many(each["Action"])} == {
        *("kms:Decrypt", "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue")
    }


def test_nothing_goes_to_the_database_or_its_proxy_without_tls(made, stage):
    parameters = one(made, stage, "AWS::RDS::DBClusterParameterGroup")["Parameters"]
    assert parameters["rds.force_ssl"] == "1"
    assert one(made, stage, "AWS::RDS::DBProxy")["RequireTLS"] is True


def test_logs_tell_of_slow_statements_without_what_mail_says(made, stage):
    parameters = one(made, stage, "AWS::RDS::DBClusterParameterGroup")["Parameters"]
    assert parameters["log_min_duration_statement"] == "1000"
    assert parameters["log_parameter_max_length"] == parameters["log_parameter_max_length_on_error"] == "0"
    assert parameters["log_statement"] in {"none", "ddl"}
    assert one(made, stage, "AWS::RDS::DBCluster")["EnableCloudwatchLogsExports"] == ["postgresql"]


def test_logs_that_services_would_make_are_ours_before_them_and_go(made, stage):
    groups = {
        group.properties.get("LogGroupName"): group
        for group in made.all(stage, "AWS::Logs::LogGroup")
        if group.stack == "stores"
    }
    (cluster,), (proxy,) = made.all(stage, "AWS::RDS::DBCluster"), made.all(stage, "AWS::RDS::DBProxy")
    name = cluster.properties["DBClusterIdentifier"]
    assert groups[f"/aws/rds/cluster/{name}/postgresql"].id in cluster.body["DependsOn"]
    assert groups[f"/aws/rds/proxy/{proxy.properties['DBProxyName']}"].id in proxy.body["DependsOn"]
    assert {group.properties["RetentionInDays"] for group in groups.values()} <= {7, 30, 90}
    assert all("KmsKeyId" in group.properties for group in groups.values())


def test_the_proxys_readers_have_an_endpoint_only_where_there_are_readers(made, stage):
    found = made.all(stage, "AWS::RDS::DBProxyEndpoint")
    assert [endpoint.properties["TargetRole"] for endpoint in found] == ([] if stage == "dev" else ["READ_ONLY"])


def test_names_are_the_stages_own_so_that_stages_share_an_account(made, stage):
    cluster, proxy = one(made, stage, "AWS::RDS::DBCluster"), one(made, stage, "AWS::RDS::DBProxy")
    assert cluster["DBClusterIdentifier"] == proxy["DBProxyName"] == f"mailloom-{stage}"
    names = [instance.properties["DBInstanceIdentifier"] for instance in made.all(stage, "AWS::RDS::DBInstance")]
    assert sorted(names) == [f"mailloom-{stage}-{number}" for number in range(1, len(names) + 1)]


def test_a_restored_cluster_brings_its_own_password_and_the_old_one_is_still_exported():
    from infra.config.load import load

    arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:rds!cluster-restored-AbCdEf"
    found = load()["prod"]
    stores = alone(replace(found, database=replace(found.database, secret=arn)))
    ((_, proxy),) = stores["AWS::RDS::DBProxy"]
    assert [auth["SecretArn"] for auth in proxy["Auth"]] == [arn]
    exported = [text(output["Value"]) for _, output in stores["outputs"] if "Export" in output]
    assert [value for value in exported if value.endswith(".MasterUserSecret.SecretArn>")]


def test_storage_without_a_price_a_request_is_a_setting():
    from infra.config.load import load

    found = load()["prod"]
    stores = alone(replace(found, database=replace(found.database, io_optimized=True)))
    ((_, cluster),) = stores["AWS::RDS::DBCluster"]
    assert cluster["StorageType"] == "aurora-iopt1"
