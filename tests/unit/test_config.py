"""Settings: which value wins, what is refused and in which words, and that no password shows."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from mailloom.cli import group
from mailloom.config import Loaded, Secret, Settings, load, resolve
from mailloom.config.load import has_password, settings_known
from mailloom.ports import Transient, UserError

PASSWORD = "Korrekt-Pferd-17"


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of one's own, without variables of ours."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("MAILLOOM_", "OTEL_")):
            monkeypatch.delenv(name)
    return tmp_path


def loaded(text: str, room: Path, profile: str | None = None, **environ: str) -> Loaded:
    (room / "mailloom.toml").write_text(text)
    return load(profile, None, environ, room)


def refused(text: str, room: Path, **environ: str) -> str:
    with pytest.raises(UserError) as told:
        loaded(text, room, **environ)
    return str(told.value).replace(f"{room}/", "")


# ---------------------------------------------------------------- which value wins


def test_without_anything_it_is_an_archive_in_a_folder(room: Path) -> None:
    found = load(None, None, {}, room)
    assert found.settings == Settings()
    assert (found.settings.servers, found.settings.archive, found.file) == (False, "archive", None)
    assert set(found.origins.values()) == {"default"}


def test_the_environment_wins_over_the_file_and_the_file_over_the_defaults(room: Path) -> None:
    text = '[profile.local]\narchive = "a"\n[profile.local.worker]\nbatch = 10\njobs = 3\n'
    found = loaded(text, room, MAILLOOM_WORKER_BATCH="20")
    worker = found.settings.worker
    assert (found.settings.archive, worker.batch, worker.jobs, worker.readers) == ("a", 20, 3, 16)
    origins = {key: found.origins[key].replace(f"{room}/", "") for key in found.origins}
    assert origins["archive"] == "mailloom.toml:2"
    assert origins["worker.batch"] == "variable MAILLOOM_WORKER_BATCH"
    assert origins["worker.jobs"] == "mailloom.toml:5"
    assert origins["worker.readers"] == "default"


def test_profiles_are_apart(room: Path) -> None:
    text = 'default_profile = "far"\n[profile.aws]\nscope = "a"\n[profile.far]\nstores = "servers"\n[profile.local]\nscope = "l"\n'
    assert loaded(text, room).settings.profile == "far"
    assert loaded(text, room).settings.servers
    assert loaded(text, room, "local").settings.scope == "l"
    assert not loaded(text, room, "local").settings.servers
    assert loaded(text, room, MAILLOOM_PROFILE="aws").settings.scope == "a"
    assert loaded(text, room, "local", MAILLOOM_PROFILE="aws").settings.scope == "l"
    assert loaded("", room, "aws").settings.servers


def test_a_file_is_named_by_the_call_or_the_environment_or_lies_here(room: Path) -> None:
    for name in ("one", "two"):
        (room / name).write_text(f'[profile.local]\nscope = "{name}"\n')
    loaded('[profile.local]\nscope = "here"\n', room)
    assert load(None, room / "one", {"MAILLOOM_CONFIG": str(room / "two")}, room).settings.scope == "one"
    assert load(None, None, {"MAILLOOM_CONFIG": str(room / "two")}, room).settings.scope == "two"
    assert load(None, None, {}, room).settings.scope == "here"
    with pytest.raises(UserError, match=r"absent can't be read: No such file.*--config"):
        load(None, room / "absent", {}, room)


def test_every_setting_can_be_set_both_ways_and_comes_back(room: Path) -> None:
    samples: dict[type, tuple[Any, str]] = {
        bool: (True, "yes"),
        int: (443, "443"),
        float: (0.5, "0.5"),
        str: ("x", "x"),
    }
    for one in settings_known():
        value, text = samples.get(one.type, (Secret("env:X"), "env:X"))
        if one.says.choices:
            value = text = one.says.choices[-1]
        if one.says.least is not None and isinstance(value, int | float) and value < one.says.least:
            value = type(value)(one.says.least)
            text = str(value)
        table, _, name = one.key.rpartition(".")
        written = f'"{value.reveal()}"' if isinstance(value, Secret) else json.dumps(value)
        head = f"[profile.local.{table}]" if table else "[profile.local]"
        by_file = loaded(f"{head}\n{name} = {written}\n", room)
        by_variable = loaded("", room, **{one.variable: text})
        for found in (by_file, by_variable):
            assert {key: value for key, value, _ in found.values()}[one.key] == value, one.key
            assert sum(origin != "default" for origin in found.origins.values()) == 1


def test_other_projects_variables_stand_in(room: Path) -> None:
    assert loaded("", room, OTEL_EXPORTER_OTLP_ENDPOINT="http://c:4318").settings.obs.otlp_endpoint == "http://c:4318"
    both = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "MAILLOOM_OBS_OTLP_ENDPOINT": "http://d:4318"}
    assert loaded("", room, **both).settings.obs.otlp_endpoint == "http://d:4318"


# ---------------------------------------------------------------- what is refused

WRONG = [
    ("[profile.aws.worker]\nbacth = 3", "mailloom.toml:2: unknown key 'worker.bacth'; did you mean 'worker.batch'?"),
    ("[profile.aws]\nbucket = 'x'", "mailloom.toml:2: unknown key 'bucket'; did you mean 'aws.bucket'?"),
    ("[profile.aws.postgress]\ndsn = 'x'", "mailloom.toml: unknown key 'postgress'; did you mean 'postgres.dsn'?"),
    ("[profile.aws.worker]\n\nbatch = 'many'", "mailloom.toml:3: worker.batch must be a whole number, 1 or more, not 'many'"),
    ("[profile.aws.worker]\nbatch = true", "mailloom.toml:2: worker.batch must be a whole number, 1 or more, not True"),
    ("[profile.aws.worker]\nbatch = 0", "mailloom.toml:2: worker.batch must be a whole number, 1 or more, not 0"),
    ("[profile.aws.worker]\nbatch = 1.5", "mailloom.toml:2: worker.batch must be a whole number, 1 or more, not 1.5"),
    ("[profile.aws.obs]\nsample = 2", "mailloom.toml:2: obs.sample must be a number from 0 to 1, not 2.0"),
    ("[profile.aws]\nscope = 3", "mailloom.toml:2: scope must be text, not 3"),
    ("[profile.aws]\nstores = 'cloud'", "mailloom.toml:2: stores must be one of folder, servers, not 'cloud'"),
    ("[profile.aws]\nworker = 3", "mailloom.toml:2: unknown key 'worker'; did you mean 'worker.jobs'?"),
    ("[profile.aws.postgres]\ndsn = 3", "mailloom.toml:2: postgres.dsn must be text or a reference"),
    ("default_profil = 'x'", "mailloom.toml: unknown key 'default_profil'; did you mean 'default_profile'?"),
    ("archive = 'x'", "mailloom.toml: unknown key 'archive' (settings belong into a table as [profile.local])"),
    ("profile = 'aws'", "mailloom.toml: profile must hold tables, as [profile.aws]; the one to use is `default_profile`"),
    ("default_profile = 3", "mailloom.toml: default_profile must be the name of a profile"),
    ("default_profile = 'awss'", "there is no profile 'awss'; did you mean 'aws'?: mailloom.toml has no [profile.awss]"),
    ("[profile", "mailloom.toml is no TOML: Expected"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), WRONG)
def test_what_is_wrong_in_the_file_is_told_with_its_place(text: str, words: str, room: Path) -> None:
    profile = {} if "default_profile" in text else {"MAILLOOM_PROFILE": "aws"}
    assert refused(text, room, **profile).startswith(words)


def test_what_is_wrong_in_the_environment_is_told(room: Path) -> None:
    assert refused("", room, MAILLOOM_POSTGRES_DNS="x") == (
        "unknown variable MAILLOOM_POSTGRES_DNS; did you mean 'MAILLOOM_POSTGRES_DSN'?"
    )
    assert refused("", room, MAILLOOM_ARCHIV="x").endswith("did you mean 'MAILLOOM_ARCHIVE'?")
    assert refused("", room, MAILLOOM_WORKER_JOBS="four") == (
        "MAILLOOM_WORKER_JOBS must be a whole number, 1 or more, not 'four'"
    )
    assert refused("", room, MAILLOOM_OBS_EMF="perhaps") == "MAILLOOM_OBS_EMF must be true or false, not 'perhaps'"
    # Ours for other purposes, or somebody else's.
    others = dict.fromkeys(
        ("MAILLOOM_CORPUS", "MAILLOOM_HOSTILE", "MAILLOOM_SERVICES", "MAILLOOM_MAVEN", "MAILLOOM_X"), "y"
    )
    assert loaded("", room, **others).settings == Settings()
    assert loaded("", room, MAILLOOM_ARCHIVE="", MAILLOOM_WORKER_JOBS="").settings == Settings()


@given(st.text())
def test_any_text_as_a_file_is_settings_or_a_refusal(text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mailloom.toml"
        path.write_text(text, "utf-8", newline="")
        try:
            load(None, path, {})
        except UserError as error:
            assert str(path) in str(error)  # noqa: PT017


# ---------------------------------------------------------------- secrets

LITERALS = [
    f"postgresql://ann:{PASSWORD}@db.example.org/mail",
    f"postgresql://db.example.org/mail?user=ann&password={PASSWORD}",
    f"host=db.example.org user=ann password={PASSWORD}",
    f"host=db.example.org password = '{PASSWORD}'",
    f"redis://:{PASSWORD}@cache.example.org:6379/0",
    f"https://ann:{PASSWORD}/with/slashes@search.example.org",
]


@pytest.mark.parametrize("literal", LITERALS)
def test_a_password_in_the_file_is_refused_without_repeating_it(literal: str, room: Path) -> None:
    for key in ("postgres.dsn", "opensearch.url", "aws.endpoint_url"):
        table, name = key.split(".")
        told = refused(f"[profile.local.{table}]\n{name} = {json.dumps(literal)}\n", room)
        assert told.startswith(f"mailloom.toml:2: {key} holds a password")
        assert PASSWORD not in told
        assert f"set MAILLOOM_{key.upper().replace('.', '_')}" in told


def test_a_setting_that_is_a_password_must_be_a_reference_there(room: Path) -> None:
    told = refused(f'[profile.local.postgres]\npassword = "{PASSWORD}"\n', room)
    assert told.startswith("mailloom.toml:2: postgres.password holds a password")
    assert PASSWORD not in told
    found = loaded('[profile.local.postgres]\npassword = "secretsmanager:mail/pg#password"\n', room)
    assert str(found.settings.postgres.password) == "secretsmanager:mail/pg#password"


def test_what_has_no_password_may_stand_in_the_file(room: Path) -> None:
    for text in ("host=127.0.0.1 dbname=mail", "postgresql://127.0.0.1:5432/mail", "service=mail", "env:PG"):
        assert not has_password(text)
        assert loaded(f'[profile.local.postgres]\ndsn = "{text}"\n', room).settings.postgres.dsn.reveal() == text


@pytest.mark.parametrize("literal", LITERALS)
def test_a_secret_of_the_environment_never_shows(literal: str, room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = loaded("", room, MAILLOOM_POSTGRES_DSN=literal)
    shown = [
        repr(found),
        str(found.settings),
        f"{found.settings.postgres.dsn}",
        repr(dataclasses.asdict(found.settings)),
    ]
    shown += [logging.makeLogRecord({"msg": found}).getMessage()]
    assert not [text for text in shown if PASSWORD in text]
    assert found.settings.postgres.dsn == Secret(literal) != Secret("")
    assert pickle.loads(pickle.dumps(found.settings.postgres.dsn)).reveal() == literal  # to worker processes
    monkeypatch.setenv("MAILLOOM_POSTGRES_DSN", literal)
    for options in ([], ["--json"], ["--all"]):
        result = CliRunner().invoke(group, ["config", *options], catch_exceptions=False)
        assert "***" in result.output
        assert PASSWORD not in result.output


class Manager:
    """As much of boto3's client of Secrets Manager as is used; test_secrets_servers.py has the real calls."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.asked = answer, []

    def get_secret_value(self, SecretId: str) -> Any:
        self.asked.append(SecretId)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def refusal(code: str, status: int = 400) -> Exception:
    from botocore.exceptions import ClientError

    answer = {"Error": {"Code": code, "Message": PASSWORD}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "GetSecretValue")


def test_a_reference_is_followed_when_asked() -> None:
    def none() -> Any:
        raise AssertionError("no client is needed")

    assert resolve(Secret(""), {}, none) == ""
    assert resolve(Secret("postgresql://h/d"), {}, none) == "postgresql://h/d"
    assert resolve(Secret("env:PG"), {"PG": "x"}, none) == "x"
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mailloom/pg-AbCdEf"
    manager = Manager({"SecretString": json.dumps({"dsn": "x", "port": 5432})})
    assert resolve(Secret(f"secretsmanager:{arn}#dsn"), {}, lambda: manager) == "x"
    assert resolve(Secret(f"secretsmanager:{arn}#port"), {}, lambda: manager) == "5432"
    assert manager.asked == [arn, arn]
    assert resolve(Secret("secretsmanager:name"), {}, lambda: Manager({"SecretString": "whole"})) == "whole"


@pytest.mark.parametrize(
    ("secret", "answer", "kind", "words"),
    [
        ("env:PG", None, UserError, "the variable PG is named by env:PG and is not set"),
        ("secretsmanager:n#k", {"SecretString": "{}"}, UserError, "no JSON object with the key 'k'"),
        ("secretsmanager:n#k", {"SecretString": PASSWORD}, UserError, "no JSON object with the key 'k'"),
        ("secretsmanager:n#k", {"SecretString": "[]"}, UserError, "no JSON object with the key 'k'"),
        ("secretsmanager:n", {"SecretBinary": b"x"}, UserError, "is binary"),
        (
            "secretsmanager:n",
            refusal("ResourceNotFoundException"),
            UserError,
            "ResourceNotFoundException for n: check its name",
        ),
        ("secretsmanager:n", refusal("AccessDeniedException"), UserError, "AccessDeniedException for n"),
        ("secretsmanager:n", refusal("ThrottlingException"), Transient, "ThrottlingException"),
        ("secretsmanager:n", refusal("InternalServiceError", 500), Transient, "InternalServiceError"),
    ],
)
def test_a_secret_that_cannot_be_had_is_told_without_it(
    secret: str, answer: Any, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind) as told:
        resolve(Secret(secret), {}, lambda: Manager(answer))
    assert type(told.value) is kind
    assert words in str(told.value)
    assert PASSWORD not in str(told.value)


# ---------------------------------------------------------------- the command


def run(*words: str, **environ: str) -> Any:
    return CliRunner(env={**environ, "COLUMNS": "100"}).invoke(group, list(words), catch_exceptions=False)


def test_config_prints_what_is_in_force_as_a_file(room: Path) -> None:
    (room / "mailloom.toml").write_text(
        '[profile.aws]\nscope = "a\\"b"\n[profile.aws.aws.queues]\nwork = "https://q"\n'
    )
    result = run("config", "--profile", "aws", MAILLOOM_WORKER_JOBS="3", MAILLOOM_OBS_EMF="on")
    assert result.stdout.splitlines()[0] == "profile aws, mailloom.toml"
    import tomllib

    printed = tomllib.loads("\n".join(result.stdout.splitlines()[1:]))
    assert printed == {
        "stores": "servers",
        "scope": 'a"b',
        "aws": {"queues": {"work": "https://q"}},
        "worker": {"jobs": 3},
        "obs": {"emf": True},
    }
    assert "# mailloom.toml:2" in result.stdout
    assert "# variable MAILLOOM_WORKER_JOBS" in result.stdout
    rows = [json.loads(line) for line in run("config", "--json", "--all").stdout.splitlines()]
    assert [row["key"] for row in rows] == [one.key for one in settings_known()]


def test_profile_and_config_may_stand_before_the_command_or_behind(room: Path) -> None:
    (room / "x.toml").write_text('[profile.mine]\narchive = "there"\n')
    for words in (
        ["--profile", "mine", "--config", "x.toml", "search", "a"],
        ["search", "a", "--profile", "mine", "--config", "x.toml"],
        ["--config", "x.toml", "search", "--profile", "mine", "a"],
    ):
        with pytest.raises(UserError, match="no archive at there"):
            run(*words)
    with pytest.raises(UserError, match="no archive at elsewhere"):
        run("search", "a", "--config", "x.toml", "--profile", "mine", "-a", "elsewhere")
    with pytest.raises(UserError, match="no archive at by-variable"):
        run("search", "a", "--config", "x.toml", "--profile", "mine", MAILLOOM_ARCHIVE="by-variable")


def test_readers_of_a_folder_load_no_server_library(room: Path) -> None:
    code = (
        "import sys; from mailloom.cli import group\n"
        "try: group.main(['search', 'x'], standalone_mode=False)\n"
        "except Exception as e: print(e)\n"
        "heavy = {'boto3', 'psycopg', 'opensearchpy', 'redis', 'opentelemetry', 'structlog', 'tomllib'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=room)
    assert done.stdout.splitlines()[-1] == "[]", done


def test_names_that_their_services_would_refuse_are_told_before_anything_is_asked(tmp_path):
    file = tmp_path / "mailloom.toml"
    for table, line in (("aws", 'bucket = "a/b c"'), ("aws", 'tables = "Sp ace"'), ("opensearch", 'prefix = "Up*"')):
        file.write_text(f"[profile.aws.{table}]\n{line}\n")
        with pytest.raises(
            UserError, match=r"mailloom.toml:2: \w+\.\w+ must be a name of .*letters, digits, - .*, not '"
        ):
            load("aws", file, {})
        file.write_text(f'[profile.aws.{table}]\n{line.partition("=")[0]} = "mail-1_"\n')
        load("aws", file, {})
