"""stages.toml is read strictly: what can't work is one sentence with the stage, the key, what stands there and what to change."""

from __future__ import annotations

import tomllib
import zipfile
from dataclasses import replace
from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.config import addresses
from infra.config.load import FILE, load, read
from infra.config.rules import FARGATE, NO_BUDGETS
from infra.config.stages import Network, Stage
from infra.config.typed import keys
from mailloom.ports.errors import UserError

BAD = [
    # keys, types, ranges
    ("[dev]\nregoin = 'us-east-1'", "stage dev: regoin = 'us-east-1' is no key of a stage; did you mean region?"),
    ("[dev]\ncidr = '10.0.0.0/16'", "stage dev: cidr = '10.0.0.0/16' is no key of a stage; did you mean network.cidr?"),
    ("[dev.network]\nzone = 2", "stage dev: network.zone = 2 is no key of a stage; did you mean network.zones?"),
    (
        "[dev.qqq]\nzone = 2",
        "stage dev: qqq = {'zone': 2} is no key of a stage; infra/config/stages.py lists them: take it out",
    ),
    ("[dev]\nname = 'x'", "stage dev: name = 'x' is no key of a stage; infra/config/stages.py lists them: take it out"),
    ("[dev]\nnetwork = 2", "stage dev: network = 2 must be a table: write [dev.network] and its keys below"),
    ("dev = 2", "stage dev: dev = 2 must be a table: write [dev] and its keys below"),
    ("[Dev-1]", "stage Dev-1: names of stages are up to 12 small letters and digits, a letter first: rename it"),
    ("[dev]\nprotect = 1", "stage dev: protect = 1 must be true or false"),
    ("[dev]\nregion = 'Virginia'", "stage dev: region = 'Virginia' must be a region, as us-east-1"),
    ("[dev.network]\nzones = '2'", "stage dev: network.zones = '2' must be a whole number from 2 to 3"),
    ("[dev.network]\nzones = 1", "stage dev: network.zones = 1 must be a whole number from 2 to 3"),
    ("[dev.network]\nzones = 4", "stage dev: network.zones = 4 must be a whole number from 2 to 3"),
    ("[dev.network]\nzones = true", "stage dev: network.zones = True must be a whole number from 2 to 3"),
    ("[dev.network]\npeers = '10.0.0.0/16'", "stage dev: network.peers = '10.0.0.0/16' must be a list of texts"),
    ("[dev.network]\npeers = [1]", "stage dev: network.peers = [1] must be a list of texts"),
    ("[dev.network]\nflow_logs = 'some'", "network.flow_logs = 'some' must be one of none, reject, all"),
    ("[dev.landing]\nwork_seconds = 60", "landing.work_seconds = 60 must be a whole number from 120 to 43200"),
    ("[dev.landing]\nlarge_seconds = 300", "landing.large_seconds = 300 must be a whole number from 600 to 43200"),
    ("[dev.landing]\nexpire_days = -1", "landing.expire_days = -1 must be a whole number from 0 to 36500"),
    ("[dev.landing]\nshadow_days = 99999999999", "landing.shadow_days = 99999999999 must be a whole number from 1 to"),
    ("[dev.lake]\nscan_gb = 10000000000", "lake.scan_gb = 10000000000 must be a whole number from 1 to 1000000"),
    ("[dev.state]\nwarm_write_units = 1", "state.warm_write_units = 1 is less than each table has: write 0, or 4000"),
    # odd values
    ("[dev.database]\nmax_acu = nan", "database.max_acu = nan must be a number from 1 to 256"),
    ("[dev.database]\nmax_acu = inf", "database.max_acu = inf must be a number from 1 to 256"),
    (f"[dev.database]\nmax_acu = 1{'0' * 400}", "database.max_acu = 1000"),
    (f"[dev.database]\nmax_acu = 0x{'f' * 5000}", "database.max_acu = a number of thousands of digits must be"),
    (f"[dev]\nregion = '{'x' * 5000}'", "xxx... must be a region, as us-east-1"),
    ("[dev]\nregion = ''", "region = '' must be a region, as us-east-1"),
    ("[dev]\nregion = 'us-east-\u0661'", "region = 'us-east-\u0661' must be a region, as us-east-1"),
    ("[dev]\nregion = 2026-01-31", "region = datetime.date(2026, 1, 31) must be a region, as us-east-1"),
    (
        "[[dev]]\nregion = 'us-east-1'",
        "dev = [{'region': 'us-east-1'}] must be a table: write [dev] and its keys below",
    ),
    ('["a\\nb"]', r"stage 'a\nb': names of stages are up to 12 small letters"),
    ('[dev]\n"a\\nb" = 1', r"stage dev: 'a\nb' = 1 is no key of a stage"),
    ('[dev.watch]\nemail = "a\\u0000@example.org"', r"watch.email = 'a\x00@example.org' must be one address, as"),
    (
        "[dev.watch]\nemail = 'a@ex\u00e4mple.org'",
        "must be one address, as alarms@example.org, in letters that SNS takes",
    ),
    (
        "[dev.history]\ntime_zone = 'Europe/Nowhere'",
        "history.time_zone = 'Europe/Nowhere' is no time zone of the IANA database: write one",
    ),
    ("[dev.history]\ndoctor = 'SUNDAY'", "history.doctor = 'SUNDAY' must be weekdays, as SUN or MON,THU, or all"),
    ("[dev.history]\ntime_zone = ''", "history.time_zone = '' must be a time zone, as Europe/Berlin"),
    ("[dev.release]\ncollector_image = ''", "release.collector_image = '' must be a tag of an image"),
    (
        "[dev.database]\nsecret = 'arn:aws:secretsmanager:us-west-2:123456789012:secret:x-abc'",
        "is not in us-east-1, where the cluster is: write the ARN of its password",
    ),
    ("[dev.lake]\nbuffer_mb = 1", "lake.buffer_mb = 1 must be a whole number from 64 to 128"),
    ("[dev.database]\nmin_acu = 'low'", "database.min_acu = 'low' must be a number from 0.5 to 256"),
    ("[dev.watch]\nemail = 'me'", "watch.email = 'me' must be one address, as alarms@example.org"),
    ("[dev.release]\nphase = '5%'", "release.phase = '5%' must be one of shadow, 1%, 10%, all"),
    # zones
    ("[dev]\nregion = 'us-west-1'\nnetwork.zones = 3", "network.zones = 3 is more than us-west-1 has: write 2"),
    ("[dev.network]\nendpoint_zones = 3", "network.endpoint_zones = 3 is more than network.zones: write 2 or less"),
    ("[dev.network]\nzones = 3\n[dev.index]\nnodes = 4", "index.nodes = 4 can't be spread evenly over 3 zones"),
    ("[dev.network]\nzone_names = ['us-east-1a']", "network.zone_names = ('us-east-1a',) doesn't name 2 zones, as"),
    ("[dev.network]\nzone_names = ['us-east-1a', 'us-east-1a']", "doesn't name 2 zones, as network.zones says"),
    (
        "[dev.network]\nzone_names = ['us-east-1a', 'us-east-1a', 'us-east-1b']",
        "doesn't name 2 zones, as network.zones",
    ),
    (
        "[dev.network]\nzone_names = ['us-east-1a', 'us-west-2a']",
        "has 'us-west-2a', which is no zone of us-east-1: name",
    ),
    ("[dev.network]\nzone_names = ['us-east-1a', 'us-east-1']", "has 'us-east-1', which is no zone of us-east-1: name"),
    (
        "[dev.network]\nzone_names = ['us-east-1a', 'us-east-1-bos-1a']",
        "has 'us-east-1-bos-1a', which is no zone of us",
    ),
    # addresses
    ("[dev]\nregion = 'eu-north-1'", "network.s3_list = '' isn't known for eu-north-1: write the id that `aws ec2"),
    ("[dev]\nregion = 'eu-north-1'\nnetwork.s3_list = 'pl-0123abcd'", "network.dynamodb_list = '' isn't known for eu"),
    ("[dev.network]\ns3_list = '52.0.0.0/8'", "network.s3_list = '52.0.0.0/8' must be a prefix list, as pl-63a5400a"),
    ("[dev.network]\ncidr = '10.64.0.1/16'", "network.cidr = '10.64.0.1/16' is no IPv4 network: write its first"),
    ("[dev.network]\ncidr = 'fd00::/48'", "network.cidr = 'fd00::/48' is no IPv4 network"),
    ("[dev.network]\ncidr = '10.64.0.0/255.255.0.0'", "network.cidr = '10.64.0.0/255.255.0.0' is no IPv4 network"),
    ("[dev.network]\ncidr = '10.64.0.0/016'", "network.cidr = '10.64.0.0/016' is no IPv4 network"),
    ("[dev.network]\ncidr = ''", "network.cidr = '' is no IPv4 network: write its first address and its length"),
    ("[dev.network]\ncidr = '11.0.0.0/16'", "network.cidr = '11.0.0.0/16' is not private: take one inside"),
    ("[dev.network]\ncidr = '10.0.0.0/8'", "network.cidr = '10.0.0.0/8' is larger than a VPC may be: write /16"),
    ("[dev.network]\ncidr = '10.0.0.0/28'", "network.cidr = '10.0.0.0/28' is too small for the subnets: write /26"),
    ("[dev.network]\ncidr = '10.0.0.0/26'", "network.cidr = '10.0.0.0/26' is too small: a zone has 11 addresses"),
    ("[dev.network]\npeers = ['x']", "network.peers = ('x',) has 'x', which is no IPv4 network: write it as"),
    (
        "[dev.network]\npeers = ['10.0.0.0/8']",
        "network.cidr = '10.64.0.0/16' overlaps with 10.0.0.0/8 of network.peers",
    ),
    # retention
    ("[dev.landing]\ninfrequent_days = 10", "landing.infrequent_days = 10 is sooner than S3 moves objects to Standard"),
    ("[dev.landing]\ninfrequent_days = 60\ninstant_days = 30", "landing.instant_days = 30 is not after"),
    ("[dev.landing]\ninfrequent_days = 60\ninstant_days = 70", "landing.instant_days = 70 is billed as 30 days"),
    (
        "[dev.landing]\ninstant_days = 90\narchive_days = 90",
        "not after landing.instant_days = 90: write 91 or more, or 0",
    ),
    ("[dev.landing]\narchive_days = 365\nexpire_days = 300", "landing.expire_days = 300 is not after landing.archive"),
    ("[dev.lake]\nwarm_days = 5", "lake.warm_days = 5 is sooner than S3 moves objects to Standard-IA: write 0 or 30"),
    ("[dev.lake]\nwarm_days = 30\ncold_days = 31", "lake.cold_days = 31 is billed as 30 days in Standard-IA: write 60"),
    ("[dev.lake]\nwarm_days = 90\nexpire_days = 30", "lake.expire_days = 30 is not after lake.warm_days = 90"),
    ("[dev.landing]\nlock = 'governance'", "landing.lock_days = 0 doesn't go with landing.lock = 'governance'"),
    ("[dev.landing]\nlock_days = 9", "landing.lock_days = 9 doesn't go with landing.lock = 'none': both or none"),
    (
        "[dev.landing]\nlock = 'compliance'\nlock_days = 90\nexpire_days = 30",
        "landing.expire_days = 30 is before the lock ends: write 90 or more, or 0",
    ),
    ("[dev]\nlanding.expire_days = 30\nindex.search_days = 90", "landing.expire_days = 30 takes mail away that search"),
    ("[dev.state]\nexport_days = 7\nexport_keep_days = 1", "state.export_keep_days = 1 leaves days without an export"),
    # capacity
    ("[dev.database]\nmin_acu = 8", "database.min_acu = 8.0 is more than database.max_acu = 4: write that or less"),
    (
        "[dev.database]\nmax_acu = 1.25",
        "database.max_acu = 1.25 is between the steps of Aurora: write a whole or a half",
    ),
    ("[dev.database]\nmin_readers = 1", "database.min_readers = 1 is more than database.max_readers = 0"),
    ("[dev.index]\nmasters = 2", "index.masters = 2 can't elect one of them: write 0 or 3"),
    ("[dev.index]\nwarm_nodes = 2", "index.warm_nodes = 2 needs dedicated masters: write index.masters = 3"),
    ("[dev.index]\nmasters = 3\nwarm_nodes = 1", "index.warm_nodes = 1 is too few: write 0, or 2 or more"),
    ("[dev.index]\nnode = ''", "index.node = '' must be a node of OpenSearch, as r7g.large.search"),
    ("[dev.index]\nwarm = 'r7g.large.search'", "index.warm = 'r7g.large.search' must be ultrawarm1.medium.search or"),
    ("[dev.index]\nnode = 'ultrawarm1.medium.search'", "is a type for index.warm alone: write another, as r7g.large"),
    ("[dev.index]\nnode = 't3.large.search'", "is none of its family that a domain may have: write one of t3.small"),
    ("[dev.index]\nnode = 't3.small.search'\ndisk_gb = 101", "disk_gb = 101 is more than a t3.small.search may have"),
    (
        "[dev.index]\nnode = 't3.small.search'\nnodes = 12",
        "nodes = 12 is more than a domain of t3.small.search may have",
    ),
    (
        "[dev.index]\nnode = 't3.small.search'\nmasters = 3\nwarm_nodes = 2",
        "index.warm_nodes = 2 doesn't go with t3.small.search: write 0, or a larger index.node",
    ),
    ("[dev.workers]\ncpu = 1000", "workers.cpu = 1000 is nothing that Fargate has: write one of 256, 512, 1024"),
    (
        "[dev.workers]\nmemory_mb = 9000",
        "workers.memory_mb = 9000 doesn't go with cpu = 1024: write 2048 to 8192 in steps",
    ),
    ("[dev.workers]\nlarge_memory_mb = 512", "workers.large_memory_mb = 512 doesn't go with large_cpu = 1024"),
    ("[dev.workers]\nmin_tasks = 5", "workers.min_tasks = 5 is more than workers.max_tasks = 4: write that or less"),
    ("[dev.workers]\nbase_tasks = 5", "workers.base_tasks = 5 is more than workers.max_tasks = 4: write that or less"),
    # times
    (
        "[dev.functions]\nvalidate_seconds = 61",
        "landing.events_seconds = 360 is less than 6 x functions.validate_seconds",
    ),
    ("[dev.functions]\nvalidate_seconds = 61", "while they are worked on: write 366 or more"),
    ("[dev.workers]\narrangement = 'lambda'", "landing.work_seconds = 180 is less than 6 x workers.function_seconds"),
    ("[dev.watch]\nlog_days = 10", "watch.log_days = 10 is nothing that CloudWatch has: write one of 1, 3, 5, 7, 14"),
    (
        "[dev]\nregion = 'eu-north-1'\nnetwork.s3_list = 'pl-0123abcd'\nnetwork.dynamodb_list = 'pl-0123abce'",
        "watch.budget_usd = 500 can't be made by CloudFormation in eu-north-1: write 0, and make a budget of the tag",
    ),
    # releases
    ("[dev.release]\nimage = ''", "release.image = '' must be a tag of an image"),
    ("[dev.release]\nnext_image = '2'", "release.next_image = '2' has no place in a first roll-out"),
    ("[dev.release]\nkind = 'upgrade'", "release.next_image = '' is missing in an upgrade: write the tag of the new"),
    (
        "[dev.release]\nkind = 'upgrade'\nimage = '2'\nnext_image = '2'",
        "release.next_image = '2' is the image that runs",
    ),
    # what must not be lost
    ("[prod]", "stage prod: protect = False would let a deployment delete mail: write true"),
    ("[prod]\nprotect = true", "stage prod: database.min_readers = 0 leaves nobody to take over when the writer fails"),
]


@pytest.mark.parametrize(("text", "sentence"), BAD)
def test_what_cannot_work_is_told_in_one_sentence(tmp_path, text, sentence):
    file = tmp_path / "stages.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(UserError) as told:
        load(file)
    said = str(told.value)
    assert sentence in said
    assert said.startswith("stage ")
    assert "\n" not in said


def test_a_file_that_is_none_is_told(tmp_path):
    with pytest.raises(UserError, match=r"absent\.toml can't be read: No such file"):
        load(tmp_path / "absent.toml")
    for name, text, said in (
        ("half", "[dev", r"half\.toml is no TOML: "),
        ("marked", "\ufeff[dev]", r"marked\.toml is no TOML: "),
        ("digits", f"[dev]\nx = {'9' * 5000}", r"digits\.toml is no TOML: "),
        ("deep", f"[dev]\nx = {'[' * 3000}{']' * 3000}", r"deep\.toml is no TOML of stages: lists in it are inside"),
        ("empty", "# nothing yet", r"empty\.toml has no stage: write \[dev\] and its keys below"),
    ):
        (tmp_path / f"{name}.toml").write_text(text, "utf-8")
        with pytest.raises(UserError, match=said):
            load(tmp_path / f"{name}.toml")


def test_a_stage_without_keys_has_the_defaults():
    assert read("dev", {}) == Stage("dev")


def test_whole_numbers_are_taken_for_numbers():
    assert read("dev", {"database": {"max_acu": 8}}).database.max_acu == 8.0


def test_what_is_written_is_what_comes_out():
    written = tomllib.loads(FILE.read_text("utf-8"))
    stages = load()
    assert list(stages) == ["dev", "staging", "prod"]
    seen = 0
    for name, table in written.items():
        for part, values in table.items():
            for key, value in values.items() if isinstance(values, dict) else ():
                assert getattr(getattr(stages[name], part), key) == value
                seen += 1
    assert seen > 30
    assert stages["prod"].protect


def test_each_key_says_what_it_means():
    known = keys(Stage)
    assert len(known) > 60
    assert [key for key, one in known.items() if len(one.says.meaning) < 4] == []


def test_each_number_has_an_end():
    """Any value that is taken is one that a template may have: services take no number that is endless."""
    numbers = {key: one.says for key, one in keys(Stage).items() if one.kind in {int, float}}
    few = {"watch.log_days", "index.masters"} | {key for key in numbers if key.endswith(("cpu", "memory_mb"))}
    assert len(numbers) > 50
    assert {key for key, says in numbers.items() if says.most is None} - few == {
        *("network.endpoint_zones", "workers.min_tasks", "workers.base_tasks")  # less than another
    }


values = st.one_of(
    st.none().map(lambda _: {}),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.dates(),
    st.lists(st.one_of(st.text(), st.integers()), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)


@given(st.sampled_from(sorted(keys(Stage))), values)
def test_whatever_is_written_is_taken_or_told_in_one_sentence(key, value):
    table, _, name = key.rpartition(".")
    said = "stage dev: taken"
    try:
        read("dev", {table: {name: value}} if table else {name: value})
    except UserError as error:
        said = str(error)
    assert said.startswith("stage dev: ")
    assert said.isprintable()


# ---------------------------------------------------------------- addresses

vpcs = st.builds(
    lambda length, address: IPv4Network((0x0A000000 | address >> (32 - length) << (32 - length), length)),
    st.integers(16, 26),
    st.integers(0, 2**24 - 1),
)
"""Inside 10.0.0.0/8."""


@given(vpcs, st.integers(2, 3))
def test_subnets_are_inside_and_apart(vpc, zones):
    found = addresses.subnets(vpc, zones)
    assert len(found) == zones
    assert all(one.subnet_of(vpc) for one in found)
    assert not any(one.overlaps(other) for one in found for other in found if one != other)
    assert sum(one.num_addresses for one in found) < vpc.num_addresses  # some stay free


@given(vpcs)
def test_a_third_zone_moves_nothing(vpc):
    assert addresses.subnets(vpc, 3)[:2] == addresses.subnets(vpc, 2)


@given(vpcs, vpcs, st.integers(2, 3), st.integers(1, 400))
def test_a_network_is_taken_where_it_has_room_and_overlaps_with_none(vpc, peer, zones, tasks):
    table = {
        "network": {"cidr": str(vpc), "zones": zones, "peers": [str(peer)]},
        "workers": {"max_tasks": tasks},
        "index": {"nodes": zones},
    }
    stage = replace(Stage("dev"), network=Network(str(vpc), zones, peers=(str(peer),)))
    stage = replace(stage, workers=replace(stage.workers, max_tasks=tasks), index=replace(stage.index, nodes=zones))
    room = 2 ** (32 - vpc.prefixlen - 2) - 5
    fits = room >= addresses.wanted(stage) and not vpc.overlaps(peer)
    if fits:
        assert read("dev", table) == stage
    else:
        with pytest.raises(UserError, match=r"is too small|overlaps"):
            read("dev", table)


@given(vpcs, st.integers(1, 400))
def test_the_size_that_is_named_is_enough_and_the_smallest(vpc, tasks):
    table = {"network": {"cidr": str(vpc)}, "workers": {"max_tasks": tasks}}
    try:
        read("dev", table)
    except UserError as error:
        length = int(str(error).partition("write /")[2].partition(" ")[0])
        read("dev", {**table, "network": {"cidr": str(vpc.supernet(new_prefix=length))}})
        with pytest.raises(UserError):
            read(
                "dev",
                {**table, "network": {"cidr": str(vpc.supernet(new_prefix=length + 1))}}
                if length + 1 < vpc.prefixlen
                else table,
            )


@given(st.integers(1, 4000), st.integers(1, 4000))
def test_more_tasks_never_want_fewer_addresses(one, other):
    plain = Stage("dev")
    few, many = (
        addresses.wanted(replace(plain, workers=replace(plain.workers, max_tasks=tasks)))
        for tasks in sorted((one, other))
    )
    assert few <= many


@given(st.sampled_from(sorted(FARGATE)), st.integers(1, 123000))
def test_only_memory_that_fargate_has_is_taken(cpu, memory):
    table = {"workers": {"cpu": cpu, "memory_mb": memory}}
    if memory in FARGATE[cpu]:
        assert read("dev", table).workers.memory_mb == memory
    else:
        with pytest.raises(UserError, match="doesn't go with cpu"):
            read("dev", table)


def test_what_only_the_cdk_knows_is_a_sentence_too(tmp_path, monkeypatch, capsys):
    """Of all types of nodes rules.py knows a few: the CDK knows more, AWS all."""
    from infra import __main__ as command

    code = tmp_path / "code.zip"
    with zipfile.ZipFile(code, "w") as file:
        file.writestr("mailloom/run/aws_lambda.py", "")
    stage = read("dev", {"index": {"node": "i3.large.search"}})  # has disks of its own and can't have another
    monkeypatch.setattr(command, "load", lambda: {"dev": stage})
    monkeypatch.setattr("sys.argv", ["infra", "dev", "--code", str(code)])
    monkeypatch.setenv("CDK_OUTDIR", str(tmp_path / "out"))
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("the CDK refuses dev: ")
    assert "do not support EBS storage volumes" in said
    assert len(said.splitlines()) == 1


def test_regions_without_budgets_are_those_of_cloudformation():
    from cfnlint.helpers import REGIONS
    from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

    kind = "AWS::Budgets::Budget"
    absent = {region for region in REGIONS if kind not in PROVIDER_SCHEMA_MANAGER.get_resource_types(region)}
    assert len(absent) > 5
    assert absent == NO_BUDGETS
