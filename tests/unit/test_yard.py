"""What holds for the sources as a whole: the layers, the regular expressions, the examples in the docs."""

from __future__ import annotations

import ast
import importlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
import regex_review

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "src"
SCRIPTS = Path(sysconfig.get_path("scripts"))


# ---------------------------------------------------------------- layers


def test_layers_hold() -> None:
    done = subprocess.run(
        [SCRIPTS / "lint-imports", "--no-cache"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


# ---------------------------------------------------------------- the manners of the code

FILES = sorted(SOURCES.rglob("*.py"))
PURE = [p for p in FILES if p.relative_to(SOURCES).parts[1] in {"mail", "thread"}]
LINES_OF_A_MODULE, LINES_OF_A_FUNCTION = 520, 90  # "about" 400 and 60: reading decides, this stops what grew unseen
# Functions of the core that may call themselves, and why that ends.
BOUNDED = {"_addresses": "once more at most, on a field that was encoded whole and is no longer"}
SHAPES = {
    "NamedTuple",
    "Protocol",
    "TypedDict",
    "Enum",
    "IntEnum",
    "StrEnum",
}  # bases that say what a class is, not whose child


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes())


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    return (n for n in ast.walk(parsed(path)) if isinstance(n, ast.FunctionDef))


def test_modules_and_functions_stay_short() -> None:
    long = [f"{p}: {n} lines" for p in FILES if (n := len(p.read_text("utf-8").splitlines())) > LINES_OF_A_MODULE]
    for path in FILES:
        for function in functions(path):
            length = (function.end_lineno or 0) - function.lineno + 1
            if length > LINES_OF_A_FUNCTION:
                long.append(f"{path}:{function.lineno}: {function.name}: {length} lines")
    assert not long, "\n".join(long)


def test_no_module_has_a_name_for_anything() -> None:
    assert not [p for p in FILES if p.stem in {"utils", "util", "helpers", "common", "base", "manager", "misc"}]


def test_the_core_does_not_recurse_or_inherit() -> None:
    """A sender decides how deep mail nests, so a function that calls itself there is a crash in waiting."""
    bad = []
    for path in PURE:
        for function in functions(path):
            calls = [n for n in ast.walk(function) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
            bad += [
                f"{path}:{n.lineno}: calls itself"
                for n in calls
                if n.func.id == function.name and n.func.id not in BOUNDED
            ]
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ClassDef):
                bad += [
                    f"{path}:{node.lineno}: {node.name}"
                    for b in node.bases
                    if ast.unparse(b).split("[")[0] not in SHAPES
                ]
    assert not bad, "\n".join(bad)


def test_nothing_depends_on_the_seed_of_hash() -> None:
    """hash() of text differs from process to process, and two workers must agree."""
    bad = [
        f"{path}:{node.lineno}"
        for path in FILES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hash"
    ]
    assert not bad, "\n".join(bad)


def test_each_base_dependency_is_used_and_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.split(r"[<>=]", d)[0].strip() for d in project["dependencies"]}
    imported = set()
    for path in FILES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Import):
                imported |= {a.name.split(".")[0] for a in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").split(".")[0])
    assert {n for n in names if n.replace("-", "_") not in imported} == set()
    page = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text(encoding="utf-8")
    assert {n for n in names if f"| {n} |" not in page} == set()


# ---------------------------------------------------------------- regular expressions

# Patterns with a quadratic complaint that a reader has looked at: file and name -> why it is linear all the same.
REVIEWED = {
    "mailloom/mail/parts/header.py:_WORD": "the search stops behind the last ?=, so whatever begins before it also ends",
    "mailloom/mail/identity.py:_TRAILER": "it looks at the last 220 characters of a subject",
}

CALLS = {"compile", "search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer"}


class Use(NamedTuple):
    """A pattern and how it is used: `calls` are the names of the searching functions, all of them where that isn't plain."""

    where: str
    name: str
    pattern: str | bytes
    flags: int
    calls: set[str]


@cache
def regexes() -> list[Use]:
    return [use for path in FILES for use in patterns(path)]


def patterns(path: Path) -> Iterator[Use]:
    """Each pattern given to the re module anywhere in a file, at import or in a function."""
    tree = parsed(path)
    module: ModuleType | None = None
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "re":
            raise AssertionError(f"{path}: write `import re`, so that its patterns can be listed")
        if not (isinstance(node, ast.Call) and called(node, "re") and node.func.attr in CALLS):
            continue
        module = module or importlib.import_module(name_of(path))
        where = f"{path.relative_to(SOURCES)}:{node.lineno}"
        given = {k.arg: k.value for k in node.keywords}
        # flags come second for compile, fifth for sub, fourth for split, third for the rest
        place = {"compile": 1, "sub": 4, "subn": 4, "split": 3}.get(node.func.attr, 2)
        flags = given.get("flags") or (node.args[place] if len(node.args) > place else None)
        name = f"{path.relative_to(SOURCES)}:{name_given(tree, node)}"
        calls = uses(tree, node) if node.func.attr == "compile" else {node.func.attr}
        try:
            pattern = evaluate(given.get("pattern") or node.args[0], module)
            bits = int(evaluate(flags, module)) if flags else 0
        except NameError:
            lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            here = [made for line, made in compiled_at_import(path) if line in lines]
            assert here, f"{where}: build the pattern at import, so that it can be listed"
            yield from (Use(where, name, made.pattern, made.flags, calls) for made in here)
            continue
        if not isinstance(pattern, re.Pattern):  # re.sub(COMPILED, ...) is listed where COMPILED is
            yield Use(where, name, pattern, bits, calls)


def called(node: ast.Call, name: str) -> bool:
    function = node.func
    return isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == name


def name_given(tree: ast.Module, call: ast.Call) -> str:
    """NAME of `NAME = re.compile(...)` or `NAME = re.compile(...).match` at the top of a module, else ""."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value and call in ast.walk(statement.value):
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            return ast.unparse(target)
    return ""


def uses(tree: ast.Module, compiled: ast.Call) -> set[str]:
    """The searching functions called on a compiled pattern; all of them where it goes elsewhere, too."""
    bound = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.value is compiled}
    if bound:  # NAME = re.compile(...).match
        return bound
    if not (name := name_given(tree, compiled)):
        return CALLS
    found: set[str] = set()
    seen = loads = 0
    for other in [tree] if name.startswith("_") else map(parsed, FILES):
        for node in ast.walk(other):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name:
                found.add(node.attr)
                seen += 1
            loads += isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
    return found if found and seen == loads else CALLS


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCES).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def evaluate(expression: ast.expr, module: ModuleType) -> object:
    return eval(compile(ast.Expression(expression), "<pattern>", "eval"), vars(module))


def compiled_at_import(path: Path) -> list[tuple[int, re.Pattern]]:
    """(line, pattern) of what a module compiles while it is imported, also in loops. It is run anew, apart from the real one."""
    real, found = re.compile, []

    def listen(pattern: str | bytes, flags: int = 0) -> re.Pattern:
        caller = sys._getframe(1)
        made = real(pattern, flags)
        if caller.f_code.co_filename == str(path):
            found.append((caller.f_lineno, made))
        return made

    package = name_of(path) if path.name == "__init__.py" else name_of(path).rpartition(".")[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(re, "compile", listen)
        names = {"__name__": name_of(path), "__package__": package, "__file__": str(path)}
        exec(compile(path.read_bytes(), str(path), "exec"), names)
    return found


def test_no_regex_backtracks_superlinearly() -> None:
    bad = [
        f"{use.where}: {complaint}: {use.pattern!r}"
        for use in regexes()
        for complaint in regex_review.complaints(
            use.pattern,
            use.flags,
            searched=not use.calls <= {"match", "fullmatch", "pattern"},
            to_the_end="fullmatch" in use.calls,
        )
        if use.name not in REVIEWED or not complaint.startswith("quadratic")
    ]
    assert not bad, "\n".join(bad)


def test_each_reviewed_regex_is_still_in_use() -> None:
    assert set(REVIEWED) <= {use.name for use in regexes()}


@pytest.mark.parametrize(
    ("pattern", "searched", "verdict"),
    [
        (r"(a+)+$", False, "exponential"),
        (r"(?:a*b*)*c", False, "exponential"),
        (r"(?:a|b|ab)*c", False, "exponential"),
        (r"(?:a{1,2})*b", False, "exponential"),
        (r"(?:a|a)*b", False, "exponential"),
        (r"a(?:b|(?=c)|$)", False, ""),
        (r"</style[^>]{0,100}>", True, ""),
        (r"(?:\w{1,100})*x", False, "exponential"),
        (r"a{1,3000}b", True, "quadratic"),
        (r"\s*\s*x", False, "quadratic"),
        (r"On .* at .* wrote:", False, "quadratic"),
        (r"On .* wrote:", False, ""),
        (r"On .* wrote:", True, "quadratic"),
        (r"\s+$", True, "quadratic"),
        (r"\s+", True, ""),
        (r"<[^>]*>", True, "quadratic"),
        (r"<[^<>]*>", True, ""),
        (rb"(?m)^>[> ]*$", True, ""),
        (rb"(?m)^[>\s]*x", True, "quadratic"),
        (r"\A(?:[ \t]*\n)+x", True, ""),
        (r"(?:\w+\.)*\w+@", False, ""),
        (r"(?i)=\?([^?]+)\?([bq])\?([^?]*)\?=", True, ""),
        (r"(?=.*x)a", True, "quadratic"),
        (r"\n(?=[a-z]+:)", True, ""),
        (r"(?:[a-z]++:[^\n]*+(?:\n|\Z))*+x", False, ""),
        (r"(?:[a-z]++)*x", False, ""),
        (r"(a+)\1", False, "quadratic"),
        (r"(a)(?(1)b|c)", False, "GROUPREF_EXISTS"),
    ],
)
def test_the_review_of_regexes_itself(pattern: str | bytes, searched: bool, verdict: str) -> None:
    found = " ".join(regex_review.complaints(pattern, searched=searched))
    assert verdict in found if verdict else not found


# ---------------------------------------------------------------- examples in the docs


class Example(NamedTuple):
    where: str
    words: list[str]
    code: str


def examples(path: Path) -> list[Example]:
    found, words, code, start = [], [], [], 0
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            if start:
                found.append(Example(f"{path.relative_to(ROOT)}:{start}", words, "\n".join(code) + "\n"))
                start = 0
            else:
                start, words, code = number, line[3:].split(), []
        elif start:
            code.append(line)
    assert not start, f"{path}:{start}: the example never ends"
    return found


PAGES = [
    p for p in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))) if p.is_file()
]


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the docs' examples find it: `mail` holds made-up mail as .eml files, `archive` what ingest made of it."""
    folder = tmp_path_factory.mktemp("desk")
    run("mailloom synth made --mails 200 --seed 1", folder)
    (folder / "made" / "mail").rename(folder / "mail")
    run("mailloom ingest mail --archive archive", folder)
    return folder


def run(command: str, folder: Path) -> str:
    environment = os.environ | {"PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1", "COLUMNS": "100"}
    environment.pop("MAILLOOM_ARCHIVE", None)
    done = subprocess.run(
        command, shell=True, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_examples_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """```python is run, a page's fences one after the other in one namespace; of ```console the `$ mailloom` lines must end well.

    Both start in a folder with `mail` and `archive`; a fence with the word `norun` is only to be read.
    """
    todo = [e for e in examples(page) if e.words[:1] in (["python"], ["console"]) and "norun" not in e.words]
    if not todo:
        return
    folder = tmp_path / "desk"
    shutil.copytree(request.getfixturevalue("desk"), folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MAILLOOM_ARCHIVE", raising=False)
    names: dict[str, object] = {"__name__": "__main__"}
    for example in todo:
        if example.words[0] == "python":
            with redirect_stdout(io.StringIO()):
                exec(compile(example.code, example.where, "exec"), names)
        else:
            for line in example.code.splitlines():
                if line.startswith("$ ") and "mailloom" in shlex.split(line[2:], comments=True):
                    run(line[2:], folder)


# ---------------------------------------------------------------- the locks and the commands


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda p: p.name)
def test_locks_have_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text(encoding="ascii")
    assert [word for word in ("://", "--index", "--find-links") if word in text] == []
    pinned = re.findall(r"^[a-z0-9][^=\n]*==.*$", text, re.MULTILINE)
    hashed = re.findall(r"^[a-z0-9][^=\n]*==.* \\\n    --hash=sha256:", text, re.MULTILINE)
    assert pinned
    assert len(pinned) == len(hashed)


def test_the_base_lock_is_part_of_the_dev_lock() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^\S+==\S+", (ROOT / "requirements" / name).read_text(encoding="ascii"), re.MULTILINE))

    assert pins("base.txt") <= pins("dev.txt")


def test_the_commands_fit_on_a_screen() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony
    commands = phony.group(1).split()
    assert len(commands) <= 20
    assert [c for c in commands if not re.search(rf"^{c}:.* ## ", text, re.MULTILINE)] == []


def test_the_changelog_knows_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
