"""Where mail lands: nothing gets lost between the bucket and a queue, and nobody else looks in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from holding import alone, many, rules, statements, text


@pytest.fixture(params=["dev", "staging", "prod"])
def stage(request):
    return request.param


def queues(made, stage):
    found = {
        queue.properties["QueueName"].removeprefix(f"mailloom-{stage}-"): queue
        for queue in made.all(stage, "AWS::SQS::Queue")
        if queue.stack == "landing"
    }
    assert set(found) == {"events", "work", "large", "next", "shadow", "dead", "dead-shadow"}
    return found


def letters_of(name):
    """Where a queue puts what it gives up: doctor holds the letters in `dead` against mail that is pending, and a copy is nobody's mail."""
    return "dead-shadow" if name == "shadow" else "dead"


def raw(made, stage):
    (bucket,) = [
        bucket
        for bucket in made.all(stage, "AWS::S3::Bucket")
        if bucket.stack == "landing" and "NotificationConfiguration" in bucket.properties
    ]
    return bucket


def key_statements(made, stage):
    (key,) = [key for key in made.all(stage, "AWS::KMS::Key") if key.stack == "landing"]
    return list(statements(key.properties))


def test_each_queue_gives_up_after_five_receives_and_keeps_letters_for_14_days(made, stage):
    found = queues(made, stage)
    dead = {name: found.pop(name) for name in ("dead", "dead-shadow")}
    for name, queue in found.items():
        target = {"Fn::GetAtt": [dead[letters_of(name)].id, "Arn"]}
        assert queue.properties["RedrivePolicy"] == {"deadLetterTargetArn": target, "maxReceiveCount": 5}, name
    assert {one.properties["MessageRetentionPeriod"] for one in (*found.values(), *dead.values())} == {14 * 86400}
    assert not any("RedrivePolicy" in queue.properties for queue in dead.values())


@pytest.mark.parametrize("letters", ["dead", "dead-shadow"])
def test_only_these_queues_may_put_their_letters_there(made, stage, letters):
    found = queues(made, stage)
    allowed = found[letters].properties["RedriveAllowPolicy"]
    assert allowed["redrivePermission"] == "byQueue"
    names = {
        queue.properties["QueueName"]
        for name, queue in found.items()
        if letters_of(name) == letters and name not in {"dead", "dead-shadow"}
    }
    assert {text(arn).rsplit(":", 1)[1] for arn in allowed["sourceQueueArns"]} == names
    assert all(
        text(arn).startswith("arn:<AWS::Partition>:sqs:us-east-1:<AWS::AccountId>:")
        for arn in allowed["sourceQueueArns"]
    )


def test_messages_stay_hidden_for_as_long_as_they_are_worked_on(made, stage):
    found = {name: queue.properties["VisibilityTimeout"] for name, queue in queues(made, stage).items()}
    (validate,) = [
        function.properties
        for function in made.all(stage, "AWS::Lambda::Function")
        if text(function.properties["Handler"]).endswith(".validate")
    ]
    assert found["events"] >= 6 * validate["Timeout"]
    assert min(found["work"], found["next"], found["shadow"]) >= 120  # workers renew it
    assert found["large"] >= 600
    assert min(found["dead"], found["dead-shadow"]) >= 60  # somebody looks at letters by hand


def test_queues_are_encrypted_and_refuse_calls_without_tls(made, stage):
    found = queues(made, stage)
    policies = [policy for policy in made.all(stage, "AWS::SQS::QueuePolicy") if policy.stack == "landing"]
    for name, queue in found.items():
        assert "Fn::GetAtt" in queue.properties["KmsMasterKeyId"], name
        (policy,) = [policy for policy in policies if policy.properties["Queues"] == [{"Ref": queue.id}]]
        refused = [each for each in statements(policy.properties) if each["Effect"] == "Deny"]
        assert [each["Condition"] for each in refused] == [{"Bool": {"aws:SecureTransport": "false"}}], name


def test_events_of_raw_mail_alone_come_to_the_queue_of_events(made, stage):
    events, bucket = queues(made, stage)["events"], raw(made, stage)
    (told,) = bucket.properties["NotificationConfiguration"]["QueueConfigurations"]
    assert told == {
        "Event": "s3:ObjectCreated:*",
        "Queue": {"Fn::GetAtt": [events.id, "Arn"]},
        "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": "raw/"}]}},
    }


def test_s3_may_send_to_that_queue_for_that_bucket_before_the_bucket_is_made(made, stage):
    events, bucket = queues(made, stage)["events"], raw(made, stage)
    (policy,) = [
        policy
        for policy in made.all(stage, "AWS::SQS::QueuePolicy")
        if policy.properties["Queues"] == [{"Ref": events.id}]
    ]
    (sends,) = [each for each in statements(policy.properties) if each["Principal"] == {"Service": "s3.amazonaws.com"}]
    assert many(sends["Action"]) == ["sqs:SendMessage"]
    assert sends["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    source = text(sends["Condition"]["ArnEquals"]["aws:SourceArn"])
    assert source == f"arn:<AWS::Partition>:s3:::{text(bucket.properties['BucketName'])}"
    assert policy.id in bucket.body["DependsOn"]


def test_s3_may_use_the_queues_key_or_its_events_would_be_lost_without_a_word(made, stage):
    (lent,) = [each for each in key_statements(made, stage) if each["Principal"] == {"Service": "s3.amazonaws.com"}]
    assert set(many(lent["Action"])) == {"kms:Decrypt", "kms:GenerateDataKey"}
    assert (
        "Condition" not in lent
    )  # one that the key isn't told of would refuse all; the queue's policy names the bucket


def test_every_bucket_refuses_calls_without_tls_1_2(made, stage):
    found = [bucket for bucket in made.all(stage, "AWS::S3::Bucket") if bucket.stack in {"landing", "state", "stores"}]
    assert len(found) >= 4
    policies = {text(p.properties["Bucket"]) + p.stack: p for p in made.all(stage, "AWS::S3::BucketPolicy")}
    for bucket in found:
        assert bucket.properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
        each = statements(policies[f"<{bucket.id}>{bucket.stack}"].properties)
        refused = [statement["Condition"] for statement in each if statement["Effect"] == "Deny"]
        assert {"Bool": {"aws:SecureTransport": "false"}} in refused, bucket.id
        assert {"NumericLessThan": {"s3:TlsVersion": 1.2}} in refused, bucket.id


def test_s3_may_write_who_looked_into_a_bucket(made, stage):
    seen = 0
    for bucket in made.all(stage, "AWS::S3::Bucket"):
        if (logging := bucket.properties.get("LoggingConfiguration")) is None:
            continue
        seen += 1
        (policy,) = [
            policy
            for policy in made.all(stage, "AWS::S3::BucketPolicy")
            if policy.stack == bucket.stack and policy.properties["Bucket"] == logging["DestinationBucketName"]
        ]
        (writes,) = [
            each
            for each in statements(policy.properties)
            if each["Principal"] == {"Service": "logging.s3.amazonaws.com"}
        ]
        assert writes["Action"] == "s3:PutObject"
        assert text(writes["Resource"]).endswith(f"/{logging['LogFilePrefix']}*")
    assert seen >= 2


def test_what_is_stored_stays_and_what_serves_a_day_goes(made, stage):
    found = rules(raw(made, stage).properties)
    assert not [rule for rule in found.values() if rule.get("Prefix") == "raw/"]  # no stage lets raw mail go
    for name in ("quarantine", "shadow", "backfill"):
        assert found[name]["Prefix"] == f"{name}/"
        assert found[name]["ExpirationInDays"] >= 30
        assert found[name]["NoncurrentVersionExpiration"]["NoncurrentDays"] >= 1
    assert found["uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}


def test_images_never_change_are_scanned_and_encrypted(made, stage):
    found = made.all(stage, "AWS::ECR::Repository")
    assert len(found) == 2  # ours, and the collector's
    for repository in found:
        assert repository.properties["ImageTagMutability"] == "IMMUTABLE"
        assert repository.properties["ImageScanningConfiguration"] == {"ScanOnPush": True}
        assert repository.properties["EncryptionConfiguration"]["EncryptionType"] == "KMS"
        assert "imageCountMoreThan" in repository.properties["LifecyclePolicy"]["LifecyclePolicyText"]


def test_a_protected_stage_keeps_what_holds_data_and_no_other_does(made, stage):
    kinds = (
        *("AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::KMS::Key", "AWS::ECR::Repository", "AWS::DynamoDB::Table"),
        *("AWS::RDS::DBCluster", "AWS::OpenSearchService::Domain"),
        *(
            "AWS::RDS::DBInstance",
            "AWS::RDS::DBSubnetGroup",
            "AWS::RDS::DBClusterParameterGroup",
        ),  # a cluster needs them
    )
    found = [each for each in made.all(stage) if each.kind in kinds and each.stack in {"landing", "state", "stores"}]
    assert {each.kind for each in found} == set(kinds)
    for each in found:
        if each.stack == "state" and each.kind == "AWS::SQS::Queue":
            continue  # exports that couldn't be started
        # What a deployment made before it failed goes: names are fixed, and the next would meet its own.
        wanted = ("RetainExceptOnCreate", "Retain") if stage == "prod" else ("Delete", "Delete")
        assert (each.body["DeletionPolicy"], each.body["UpdateReplacePolicy"]) == wanted, each.id


def test_each_stack_has_a_key_that_changes_each_year(made, stage):
    found = {key.stack: key.properties for key in made.all(stage, "AWS::KMS::Key")}
    assert {"landing", "state", "stores"} <= set(found)
    assert all(key["EnableKeyRotation"] is True for key in found.values())


def test_tiers_in_their_order_and_for_large_mail_only():
    from infra.config.load import load

    found = load()["prod"]
    landing = replace(
        found.landing, infrequent_days=30, instant_days=90, archive_days=365, expire_days=3650, noncurrent_days=60
    )
    buckets = alone(replace(found, landing=landing))["AWS::S3::Bucket"]
    (bucket,) = [bucket for _, bucket in buckets if "NotificationConfiguration" in bucket]
    mine = rules(bucket)
    assert [(step["StorageClass"], step["TransitionInDays"]) for step in mine["tiers"]["Transitions"]] == [
        ("STANDARD_IA", 30),
        ("GLACIER_IR", 90),
        ("DEEP_ARCHIVE", 365),
    ]
    assert mine["tiers"]["ObjectSizeGreaterThan"] == "131072"
    assert mine["expire"]["ExpirationInDays"] == 3650
    assert mine["noncurrent"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 60}
    assert {mine[name]["Prefix"] for name in ("tiers", "expire", "noncurrent")} == {"raw/"}


@pytest.mark.parametrize("lock", ["governance", "compliance"])
def test_mail_can_be_locked(made, lock):
    from infra.config.load import load

    found = load()["prod"]
    locked = replace(found, landing=replace(found.landing, lock=lock, lock_days=7))
    (bucket,) = [b for _, b in alone(locked)["AWS::S3::Bucket"] if "NotificationConfiguration" in b]
    assert bucket["ObjectLockEnabled"] is True
    assert bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"] == {"Mode": lock.upper(), "Days": 7}
    assert "ObjectLockEnabled" not in raw(made, "prod").properties
