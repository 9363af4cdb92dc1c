"""What every bucket, key, role and log of the stacks that hold data keeps to, none left out."""

from __future__ import annotations

import pytest
from holding import many, rules, statements, text

HOLDING = {"landing", "state", "stores"}


@pytest.fixture(params=["dev", "staging", "prod"])
def stage(request):
    return request.param


def held(made, stage, kind):
    return [each for each in made.all(stage, kind) if each.stack in HOLDING]


def buckets(made, stage):
    """(those that hold data, those that S3 writes its log of access to)"""
    found = held(made, stage, "AWS::S3::Bucket")
    logs = [each for each in found if "LoggingConfiguration" not in each.properties]
    data = [each for each in found if each not in logs]
    assert len(data) == len(logs) == (3 if stage == "prod" else 2)
    return data, logs


def test_no_bucket_can_be_made_public(made, stage):
    data, logs = buckets(made, stage)
    for bucket in (*data, *logs):
        assert bucket.properties["PublicAccessBlockConfiguration"] == dict.fromkeys(
            ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
        ), bucket.id


def test_data_is_under_the_stacks_key_by_one_key_a_bucket_and_in_versions(made, stage):
    keys = {key.stack: key.id for key in made.all(stage, "AWS::KMS::Key")}
    data, logs = buckets(made, stage)
    for bucket in data:
        (how,) = bucket.properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert how == {
            "BucketKeyEnabled": True,
            "ServerSideEncryptionByDefault": {
                "SSEAlgorithm": "aws:kms",
                "KMSMasterKeyID": {"Fn::GetAtt": [keys[bucket.stack], "Arn"]},
            },
        }, bucket.id
        assert bucket.properties["VersioningConfiguration"] == {"Status": "Enabled"}, bucket.id
    for bucket in logs:  # S3's delivery of logs knows no other
        (how,) = bucket.properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert how == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}, bucket.id


def test_lifecycle_rules_are_in_force_and_nothing_half_done_is_paid_for(made, stage):
    data, logs = buckets(made, stage)
    for bucket in (*data, *logs):
        mine = rules(bucket.properties)
        assert {rule["Status"] for rule in mine.values()} == {"Enabled"}, bucket.id
        assert mine["uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}, bucket.id
        for rule in mine.values():  # what goes from a bucket with versions goes for good
            if bucket in data and "ExpirationInDays" in rule:
                assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] == 1, (bucket.id, rule)
    assert all(rules(bucket.properties)["markers"]["ExpiredObjectDeleteMarker"] is True for bucket in data)
    assert all(7 <= rules(bucket.properties)["expire"]["ExpirationInDays"] <= 90 for bucket in logs)


def test_exports_are_kept_for_weeks_and_their_failures_for_two(made, stage):
    if stage != "prod":
        return
    (bucket,) = [each for each in buckets(made, stage)[0] if each.stack == "state"]
    mine = rules(bucket.properties)["expire"]
    assert (mine["Prefix"], mine["ExpirationInDays"]) == ("tables/", 35)
    (failed,) = [each for each in held(made, stage, "AWS::SQS::Queue") if each.stack == "state"]
    assert failed.properties["MessageRetentionPeriod"] == 14 * 86400
    assert "KmsMasterKeyId" in failed.properties


def test_a_policy_that_refuses_does_so_to_everybody_and_for_everything(made, stage):
    found = 0
    for kind, action in (("AWS::S3::BucketPolicy", "s3:*"), ("AWS::SQS::QueuePolicy", "sqs:*")):
        for policy in held(made, stage, kind):
            for each in statements(policy.properties):
                if each["Effect"] == "Deny":
                    found += 1
                    assert (each["Principal"], each["Action"]) == ({"AWS": "*"}, action), policy.id
    assert found >= 14


def test_keys_are_this_accounts_and_lent_to_those_who_must(made, stage):
    for key in held(made, stage, "AWS::KMS::Key"):
        first, *lent = statements(key.properties)
        assert text(first["Principal"]["AWS"]) == "arn:<AWS::Partition>:iam::<AWS::AccountId>:root"
        assert (first["Action"], first["Effect"], first["Resource"]) == ("kms:*", "Allow", "*")
        # Nobody of another account, by whatever service; but S3, whose events come by a queue that names the bucket.
        for each in lent:
            assert each["Effect"] == "Allow"
            if each["Principal"] == {"Service": "s3.amazonaws.com"}:
                assert key.stack == "landing"
                continue
            assert each["Condition"], key.stack
            assert "<AWS::AccountId>" in str(
                [text(value) for rule in each["Condition"].values() for value in rule.values()]
            ) or ("AWS" in each["Principal"]), key.stack
            assert "*" not in many(each["Action"])


def test_logs_of_the_stores_are_under_their_key_which_cloudwatch_may_use(made, stage):
    (key,) = [each for each in held(made, stage, "AWS::KMS::Key") if each.stack == "stores"]
    groups = [each for each in held(made, stage, "AWS::Logs::LogGroup") if each.stack == "stores"]
    assert len(groups) == 6
    wanted = {"dev": 7, "staging": 30, "prod": 90}[stage]
    for group in groups:
        assert group.properties["KmsKeyId"] == {"Fn::GetAtt": [key.id, "Arn"]}, group.id
        assert group.properties["RetentionInDays"] == wanted, group.id
    (lent,) = [each for each in statements(key.properties) if "logs." in str(each["Principal"].get("Service", ""))]
    assert lent["Principal"] == {"Service": "logs.us-east-1.amazonaws.com"}
    # What CloudWatch Logs asks for ("Encrypt log data in CloudWatch Logs using AWS KMS").
    assert set(many(lent["Action"])) == {
        *("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey")
    }


def test_a_role_is_taken_by_its_service_alone_and_only_allows(made, stage):
    wanted = {"ExportsRole": "scheduler", "StreamRole": "firehose", "DatabaseProxyIAMRole": "rds"}
    found = held(made, stage, "AWS::IAM::Role")
    assert len(found) == (3 if stage == "prod" else 2)
    for role in found:
        (trust,) = role.properties["AssumeRolePolicyDocument"]["Statement"]
        (service,) = [service for name, service in wanted.items() if role.id.startswith(name)]
        assert (trust["Effect"], trust["Action"]) == ("Allow", "sts:AssumeRole")
        assert trust["Principal"] == {"Service": f"{service}.amazonaws.com"}
        for policy in role.properties.get("Policies", ()):
            for each in policy["PolicyDocument"]["Statement"]:
                assert each["Effect"] == "Allow"
                assert "*" not in many(each["Resource"])


def test_all_that_answers_is_in_the_private_network_behind_a_group_of_its_own(made, stage):
    places = {
        "AWS::RDS::DBCluster": ("VpcSecurityGroupIds", None, "Database"),
        "AWS::RDS::DBProxy": ("VpcSecurityGroupIds", "VpcSubnetIds", "Proxy"),
        "AWS::ElastiCache::ServerlessCache": ("SecurityGroupIds", "SubnetIds", "Cache"),
        "AWS::RDS::DBSubnetGroup": (None, "SubnetIds", ""),
        "AWS::RDS::DBProxyEndpoint": ("VpcSecurityGroupIds", "VpcSubnetIds", "Proxy"),
    }
    seen = 0
    for kind, (groups, subnets, name) in places.items():
        for each in held(made, stage, kind):
            seen += 1
            if groups is not None:
                (group,) = each.properties[groups]
                assert f"ExportsOutputFnGetAtt{name}" in group["Fn::ImportValue"], each.id
            if subnets is not None:
                assert len(each.properties[subnets]) == (3 if stage == "prod" else 2), each.id
    assert seen >= 4


def test_the_proxy_stands_before_the_cluster(made, stage):
    (cluster,), (proxy,) = made.all(stage, "AWS::RDS::DBCluster"), made.all(stage, "AWS::RDS::DBProxy")
    (target,) = made.all(stage, "AWS::RDS::DBProxyTargetGroup")
    assert target.properties["DBClusterIdentifiers"] == [{"Ref": cluster.id}]
    assert target.properties["DBProxyName"] == {"Ref": proxy.id}
    assert target.properties["TargetGroupName"] == "default"
    assert proxy.properties["EngineFamily"] == "POSTGRESQL"
    assert (cluster.properties["DatabaseName"], cluster.properties["Port"]) == ("mailloom", 5432)
    (parameters,) = made.all(stage, "AWS::RDS::DBClusterParameterGroup")
    assert cluster.properties["DBClusterParameterGroupName"] == {"Ref": parameters.id}
    (subnets,) = made.all(stage, "AWS::RDS::DBSubnetGroup")
    assert cluster.properties["DBSubnetGroupName"] == {"Ref": subnets.id}
    assert len(cluster.properties["VpcSecurityGroupIds"]) == 1
