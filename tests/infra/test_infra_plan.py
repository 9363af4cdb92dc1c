"""The stage for ten million mails a day has room for what `mailloom plan` says that they need."""

from __future__ import annotations

from infra.config.load import load
from mailloom.plan.capacity import capacity, cpu_ms, rate, wait_ms
from mailloom.plan.demand import Demand

DEMAND = Demand(mails_per_day=10e6)
NEED = capacity(DEMAND)
PROD = load()["prod"]


def test_search_has_the_disk_and_the_nodes() -> None:
    index = PROD.index
    assert index.nodes * index.disk_gb >= NEED.search.disk
    assert index.nodes >= NEED.search.nodes
    assert index.search_days == DEMAND.retention.search
    assert index.masters == DEMAND.masters


def test_aurora_may_grow_to_its_peak() -> None:
    assert PROD.database.max_acu >= 2 * NEED.peak_acus
    assert PROD.database.min_readers >= DEMAND.readers


def test_workers_may_take_ten_times_the_mean_and_the_peak() -> None:
    workers = PROD.workers
    each = rate(cpu_ms(DEMAND), wait_ms(DEMAND), workers.cpu / 1024)
    assert workers.max_tasks * each > max(10 * DEMAND.per_second, 2 * DEMAND.peak_per_second)


def test_the_cache_answers_at_peak() -> None:
    from mailloom.plan.figures import assumed

    assert PROD.state.cache_ecpu > assumed()["valkey.ecpus"].value * DEMAND.peak_per_second


def test_the_validator_has_the_memory_that_is_priced() -> None:
    from mailloom.plan.figures import assumed

    assert PROD.functions.validate_mb == 1024 * assumed()["lambda.validate_gb"].value
    assert PROD.functions.validate_batch == assumed()["lambda.batch"].value


def test_the_validator_looks_at_as_many_objects_at_a_time_as_is_priced() -> None:
    from mailloom.plan.capacity import LOOKS
    from mailloom.run import validate

    assert LOOKS == validate.LOOKS


def test_tasks_beside_the_workers_are_of_the_size_that_is_priced(made) -> None:
    from mailloom.plan.figures import assumed

    sizes = {
        one.properties["Family"].rpartition("-")[2]: (int(one.properties["Cpu"]), int(one.properties["Memory"]))
        for one in made.all("prod", "AWS::ECS::TaskDefinition")
    }
    for name in ("settle", "large"):
        planned = (1024 * assumed()[f"{name}.vcpu"].value, 1024 * assumed()[f"{name}.gb"].value)
        assert sizes[name] == planned
    assert PROD.workers.min_tasks >= PROD.workers.base_tasks
