"""Values of templates as plain text: references followed through exports, and what only AWS knows replaced by a stand-in that tells it apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "123456789012",
    "AWS::URLSuffix": "amazonaws.com",
}


class Place(NamedTuple):
    """A resource, or an attribute of one; `attribute` is "" for what Ref gives."""

    stack: str
    id: str
    attribute: str


class Values:
    """Of all stacks of a stage."""

    def __init__(self, templates: Mapping[str, Mapping[str, Any]]) -> None:
        self.templates = templates
        self.exports = {
            output["Export"]["Name"]: (stack, output["Value"])
            for stack, template in templates.items()
            for output in template.get("Outputs", {}).values()
            if "Export" in output
        }

    def place(self, value: Any, stack: str = "compute") -> Place:
        """The resource that a value refers to."""
        if "Fn::ImportValue" in value:
            where, what = self.exports[value["Fn::ImportValue"]]
            return self.place(what, where)
        if "Ref" in value:
            return Place(stack, value["Ref"], "")
        id_, attribute = value["Fn::GetAtt"]
        return Place(stack, id_, attribute)

    def resource(self, value: Any, stack: str = "compute") -> Mapping[str, Any]:
        """The same, its body."""
        found = self.place(value, stack)
        body: Mapping[str, Any] = self.templates[found.stack]["Resources"][found.id]
        return body

    def text(self, value: Any, stack: str = "compute") -> str:
        if not isinstance(value, dict):
            return str(value)
        if "Fn::Join" in value:
            between, parts = value["Fn::Join"]
            return str(between).join(self.text(part, stack) for part in parts)
        if "Fn::Select" in value:
            number, (split,) = value["Fn::Select"][0], [value["Fn::Select"][1]["Fn::Split"]]
            return self.text(split[1], stack).split(split[0])[int(number)]
        if "Fn::Sub" in value:
            text = value["Fn::Sub"]
            for name, stands in PSEUDO.items():
                text = text.replace(f"${{{name}}}", stands)
            return str(text)
        if value.get("Ref") in PSEUDO:
            return PSEUDO[value["Ref"]]
        place = self.place(value, stack)
        kind = self.templates[place.stack]["Resources"][place.id]["Type"]
        return stand_in(kind, place)


def stand_in(kind: str, place: Place) -> str:
    """What AWS would make of a reference, in its form."""
    name = f"{place.stack}-{place.id.lower()}"
    if kind == "AWS::SQS::Queue" and not place.attribute:
        return f"https://sqs.us-east-1.amazonaws.com/123456789012/{name}"
    if place.attribute.endswith(("Endpoint", "Address", "EndpointAddress")):
        return f"{name}.example.org"
    if place.attribute.endswith(("Arn", "ARN")) or kind.startswith("AWS::SecretsManager"):
        service = kind.split("::")[1].lower()
        return f"arn:aws:{service}:us-east-1:123456789012:repository:{name}"
    return name
