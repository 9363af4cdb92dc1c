"""Templates brought to the emulator's CloudFormation: as they are, but for the types it can't do."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

BOOTSTRAP = "/cdk-bootstrap/hnb659fds/version"
"""What `cdk bootstrap` leaves in an account, and every stack asks for."""


class Emulator:
    """The emulator as an account in a region."""

    def __init__(self, endpoint: str, region: str) -> None:
        self.endpoint, self.region = endpoint, region
        self._session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=region)
        self._made: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        if service not in self._made:
            config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1, "mode": "standard"})
            self._made[service] = self._session.client(service, endpoint_url=self.endpoint, config=config)
        return self._made[service]

    def close(self) -> None:
        for each in self._made.values():
            each.close()

    @property
    def assets(self) -> str:
        """The bucket for what templates name: as `cdk bootstrap` calls it."""
        account = self.client("sts").get_caller_identity()["Account"]
        return f"cdk-hnb659fds-assets-{account}-{self.region}"

    def bootstrap(self) -> None:
        """What `cdk bootstrap` does."""
        self.client("s3").create_bucket(Bucket=self.assets)
        self.client("ssm").put_parameter(Name=BOOTSTRAP, Value="21", Type="String")

    def publish(self, folder: Path, artifact: str) -> None:
        """What `cdk deploy` does before: the files of a stack to the bucket, its template too."""
        listed = json.loads((folder / f"{artifact}.assets.json").read_text())["files"]
        for file in listed.values():
            for destination in file["destinations"].values():
                path = folder / file["source"]["path"]
                if path.is_dir():
                    path = Path(shutil.make_archive(str(path), "zip", path))
                self.client("s3").upload_file(str(path), self.assets, destination["objectKey"])

    def deploy(self, name: str, template: Mapping[str, Any]) -> None:
        """A stack of this template, and wait. Raises Failed with the emulator's words."""
        cloudformation = self.client("cloudformation")
        key = f"templates/{name}.json"
        self.client("s3").put_object(Bucket=self.assets, Key=key, Body=json.dumps(template).encode())
        try:
            cloudformation.create_stack(
                StackName=name,
                TemplateURL=f"{self.endpoint}/{self.assets}/{key}",
                Capabilities=["CAPABILITY_NAMED_IAM"],
            )
        except cloudformation.exceptions.ClientError as error:
            raise Failed(str(error)) from None
        until = time.monotonic() + 120
        while (status := self._status(name)).endswith("_IN_PROGRESS") and time.monotonic() < until:
            time.sleep(0.2)
        if status != "CREATE_COMPLETE":
            events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
            raise Failed(
                f"{name}: {status}: "
                + "; ".join(
                    f"{event['LogicalResourceId']} ({event['ResourceType']}): {event.get('ResourceStatusReason', '')}"
                    for event in events
                    if event["ResourceStatus"] == "CREATE_FAILED"
                )
            )

    def _status(self, name: str) -> str:
        return str(self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])

    def resources(self, name: str) -> dict[str, str]:
        """Logical -> physical ids of a stack."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=name)
        return {
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for page in pages
            for each in page["StackResourceSummaries"]
            if "PhysicalResourceId" in each
        }


MATHS = "AWS::CloudWatch::Alarm with Metrics"


def kind_of(body: Mapping[str, Any]) -> str:
    """The type of a resource; an alarm on an expression is one of its own."""
    maths = body["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in body["Properties"]
    return MATHS if maths else str(body["Type"])


class Failed(Exception):
    """A stack that could not be made, with the words of the emulator."""


def without(template: Mapping[str, Any], kinds: Collection[str]) -> dict[str, Any]:
    """The template without resources of these types. What refers to them gets a stand-in that names what it stands for."""
    gone = {name for name, body in template["Resources"].items() if kind_of(body) in kinds}

    def mended(value: Any) -> Any:
        if isinstance(value, list):
            return [mended(one) for one in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, of),) = value.items()
            if function == "Ref" and of in gone:
                return f"stand-in-{of}"
            if function == "Fn::GetAtt" and of[0] in gone:
                return f"arn:aws:stand-in:us-east-1:000000000000:{of[0]}" if of[1] == "Arn" else f"stand-in-{of[0]}"
        return {key: mended(one) for key, one in value.items()}

    resources = {}
    for name, body in template["Resources"].items():
        if name not in gone:
            kept = mended(body)
            after = kept.get("DependsOn", [])
            after = [one for one in ([after] if isinstance(after, str) else after) if one not in gone]
            resources[name] = {
                **{k: v for k, v in kept.items() if k != "DependsOn"},
                **({"DependsOn": after} if after else {}),
            }
    return {**template, "Resources": resources, "Outputs": mended(template.get("Outputs", {}))}


def only(template: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The template with no resources but those of a type, and all that is asked of these as its outputs."""
    names = {name for name, body in template["Resources"].items() if kind_of(body) == kind}
    alone = without(template, {kind_of(body) for body in template["Resources"].values()} - {kind})
    asked = [one for one in _asked(template) if one["Fn::GetAtt"][0] in names]
    return {
        "Resources": alone["Resources"],
        "Outputs": {f"Asked{number}": {"Value": value} for number, value in enumerate(asked)},
    }


def _asked(value: Any) -> Iterator[dict[str, Any]]:
    """Each Fn::GetAtt in it."""
    if isinstance(value, list):
        for one in value:
            yield from _asked(one)
    elif isinstance(value, dict):
        if "Fn::GetAtt" in value:
            yield value
        for one in value.values():
            yield from _asked(one)
