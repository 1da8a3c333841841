"""What a person writes with kubectl, on the embedded server as on the real one."""

import sys
from pathlib import Path

import msgspec
import pytest

from tests.contract import kube_targets as targets
from tests.contract.kube_targets import Json, Target
from tests.contract.kubectl import Kubectl

# kubectl comes with the real server's programs, so all of this needs them.
pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.slow]


@pytest.fixture
def kubectl(served_kube: Target, tmp_path: Path) -> Kubectl:
    return Kubectl(served_kube, tmp_path / "cache")


def _text(content: Json) -> str:
    return msgspec.json.encode(content).decode()


def _config(name: str, **data: str) -> str:
    """A file that says nothing of labels."""
    return _text({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})


def _pod(**images: str) -> str:
    containers = [
        {"name": name, "image": f"example.invalid/{image}", "env": [{"name": "A", "value": "1"}]}
        for name, image in images.items()
    ]
    return _text(targets.pod("a", containers=containers))


async def test_typed_creates(served_kube: Target, kubectl: Kubectl) -> None:
    """Go clients send the objects of their own types as protobuf."""
    await kubectl("create", "secret", "generic", "s", "--from-literal=k=v", "--type=example.com/t")
    secret = await kubectl.json("get", "secret", "s")
    assert (secret["data"], secret["type"]) == ({"k": "dg=="}, "example.com/t")
    await kubectl("create", "configmap", "c", "--from-literal=k=é 試験", "--from-literal=empty=")
    assert (await kubectl.json("get", "configmap", "c"))["data"] == {"k": "é 試験", "empty": ""}
    await kubectl("create", "serviceaccount", "sa")
    assert (await kubectl.json("get", "serviceaccount", "sa"))["metadata"]["namespace"] == served_kube.namespace
    name = f"{served_kube.namespace}-made"
    assert await kubectl("create", "namespace", name) == f"namespace/{name} created\n"
    assert (await kubectl.json("get", "namespace", name))["status"]["phase"] == "Active"
    said = await kubectl.said("create", "namespace", name)
    assert (said.code, "already exists" in said.err) == (1, True)


async def test_a_typed_create_that_is_not_valid(kubectl: Kubectl) -> None:
    """The server's refusal is told."""
    said = await kubectl.said("create", "configmap", "Not-Valid")
    assert (said.code, 'configmaps "Not-Valid" is invalid' in said.err.replace("ConfigMap", "configmaps")) == (1, True)


async def test_dry_runs(kubectl: Kubectl) -> None:
    """The server says what would be, with all it adds, and nothing is."""
    made = await kubectl.json("create", "configmap", "c", "--from-literal=k=v", "--dry-run=server")
    assert made["metadata"]["uid"]
    assert (await kubectl.said("get", "configmap", "c")).code == 1
    await kubectl("create", "configmap", "c", "--from-literal=k=v")
    assert "(server dry run)" in await kubectl("label", "configmap", "c", "a=b", "--dry-run=server")
    assert "(server dry run)" in await kubectl("delete", "configmap", "c", "--dry-run=server")
    kept = await kubectl.json("get", "configmap", "c")
    assert (kept["data"], kept["metadata"].get("labels")) == ({"k": "v"}, None)


async def test_apply(kubectl: Kubectl) -> None:
    """Applied, changed, unchanged: what left the file leaves the object, what others added stays."""
    assert await kubectl("apply", "-f", "-", stdin=_config("a", x="1", y="2")) == ("configmap/a created\n")
    await kubectl("patch", "configmap", "a", "--type=merge", "-p", '{"data":{"z":"3"}}')
    changed = _config("a", x="4")
    assert await kubectl("apply", "-f", "-", stdin=changed) == "configmap/a configured\n"
    assert (await kubectl.json("get", "configmap", "a"))["data"] == {"x": "4", "z": "3"}
    assert await kubectl("apply", "-f", "-", stdin=changed) == "configmap/a unchanged\n"


async def test_apply_of_keyed_lists(kubectl: Kubectl) -> None:
    """Of a pod's containers each is patched by its name."""
    await kubectl("apply", "-f", "-", stdin=_pod(one="a:1", two="b:1"))
    await kubectl("apply", "-f", "-", stdin=_pod(one="a:1", two="b:2"))
    containers = (await kubectl.json("get", "pod", "a"))["spec"]["containers"]
    assert [(one["name"], one["image"]) for one in containers] == [
        ("one", "example.invalid/a:1"),
        ("two", "example.invalid/b:2"),
    ]


async def test_apply_of_a_custom_resource(kubectl: Kubectl) -> None:
    """Custom resources are applied as merge patches."""
    assert await kubectl("apply", "-f", "-", stdin=_text(targets.prowjob("a", {"x": "1"}))) == (
        "prowjob.prow.k8s.io/a created\n"
    )
    await kubectl("apply", "-f", "-", stdin=_text(targets.prowjob("a", {"y": "2"}, context="c")))
    stored = await kubectl.json("get", "prowjob", "a")
    assert (stored["metadata"]["labels"], stored["spec"]["context"]) == ({"y": "2"}, "c")


async def test_server_side_apply(kubectl: Kubectl) -> None:
    """Each manager owns what it applies: another's value is a conflict unless forced; what one drops goes."""
    first, second = ("--server-side", "--field-manager=one"), ("--server-side", "--field-manager=two")
    await kubectl("apply", *first, "-f", "-", stdin=_config("a", x="1", y="1"))
    await kubectl("apply", *second, "-f", "-", stdin=_config("a", x="1", z="1"))
    said = await kubectl.said("apply", *second, "-f", "-", stdin=_config("a", x="2", z="1"))
    assert said.code == 1
    assert 'Apply failed with 1 conflict: conflict with "one": .data.x' in said.err
    forced = (*second, "--force-conflicts")
    await kubectl("apply", *forced, "-f", "-", stdin=_config("a", x="2", z="1"))
    await kubectl("apply", *first, "-f", "-", stdin=_config("a"))
    assert (await kubectl.json("get", "configmap", "a"))["data"] == {"x": "2", "z": "1"}
    managed = (await kubectl.json("get", "configmap", "a", "--show-managed-fields"))["metadata"]["managedFields"]
    (two,) = [entry for entry in managed if entry["manager"] == "two"]
    assert (two["operation"], two["apiVersion"], two["fieldsType"]) == ("Apply", "v1", "FieldsV1")
    assert two["fieldsV1"]["f:data"] == {"f:x": {}, "f:z": {}}


@pytest.mark.parametrize("before", [{"x": "1"}, {"x": "1", "y": "1"}])
async def test_server_side_apply_after_client_side(kubectl: Kubectl, before: dict[str, str]) -> None:
    """Whoever used plain apply before may go on with the server's: no conflict with oneself, nothing else is lost."""
    await kubectl("apply", "-f", "-", stdin=_config("a", **before))
    for value in ("2", "3"):
        await kubectl("apply", "--server-side", "-f", "-", stdin=_config("a", x=value))
        assert (await kubectl.json("get", "configmap", "a"))["data"] == {"x": value}


async def test_server_side_apply_of_a_pod(kubectl: Kubectl) -> None:
    """Containers are items of their own, also in what a manager owns."""
    await kubectl("apply", "--server-side", "-f", "-", stdin=_pod(one="a:1", two="b:1"))
    await kubectl("apply", "--server-side", "-f", "-", stdin=_pod(one="a:2", two="b:1"))
    pod = await kubectl.json("get", "pod", "a", "--show-managed-fields")
    assert [one["image"] for one in pod["spec"]["containers"]] == ["example.invalid/a:2", "example.invalid/b:1"]
    (entry,) = pod["metadata"]["managedFields"]
    assert entry["fieldsV1"]["f:spec"]["f:containers"]['k:{"name":"one"}'] == {
        ".": {},
        "f:env": {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}},
        "f:image": {},
        "f:name": {},
    }


async def test_diff(kubectl: Kubectl) -> None:
    """The server says what an apply would make; nothing is written."""
    await kubectl("apply", "-f", "-", stdin=_text(targets.config_map("a", x="1")))
    changed = _text(targets.config_map("a", x="2"))
    for form in ((), ("--server-side", "--force-conflicts")):
        said = await kubectl.said("diff", *form, "-f", "-", stdin=changed)
        assert said.code == 1, said.err
        assert '-  x: "1"\n+  x: "2"\n' in said.out
    assert (await kubectl.json("get", "configmap", "a"))["data"] == {"x": "1"}
    assert (await kubectl.said("diff", "-f", "-", stdin=_text(targets.config_map("a", x="1")))).code == 0


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("json", '[{"op":"replace","path":"/spec/containers/0/image","value":"example.invalid/new"}]'),
        ("merge", '{"spec":{"containers":[{"name":"test","image":"example.invalid/new"}]}}'),
        ("strategic", '{"spec":{"containers":[{"name":"test","image":"example.invalid/new"}]}}'),
    ],
)
async def test_patch(served_kube: Target, kubectl: Kubectl, kind: str, patch: str) -> None:
    """The three kinds of patches; only the merge replaces the list, and with it what may not change."""
    await targets.create(served_kube.pods, targets.pod("a"))
    said = await kubectl.said("patch", "pod", "a", f"--type={kind}", "-p", patch)
    container = (await targets.get(served_kube.pods, "a"))["spec"]["containers"][0]
    if kind == "merge":
        assert (said.code, container["image"]) == (1, "example.invalid/image:1")
    else:
        assert (said.err, container["image"]) == ("", "example.invalid/new")
    assert container["command"] == ["true"]


async def test_labels_annotations_and_edit(served_kube: Target, kubectl: Kubectl, tmp_path: Path) -> None:
    """Changes by hand: set, overwritten, removed, and made in an editor."""
    await targets.create(served_kube.config_maps, targets.config_map("a", x="1"))
    await kubectl("label", "configmap", "a", "team=x", "old=1")
    await kubectl("label", "configmap", "a", "team=y", "old-", "--overwrite")
    await kubectl("annotate", "configmap", "a", "example.com/why=because")
    meta = (await targets.get(served_kube.config_maps, "a"))["metadata"]
    assert (meta["labels"], meta["annotations"]) == ({"team": "y"}, {"example.com/why": "because"})
    editor = tmp_path / "editor"
    editor.write_text(f"#!{sys.executable}\nimport pathlib, sys\nfile = pathlib.Path(sys.argv[1])\n"
                      "file.write_text(file.read_text().replace('x: \"1\"', 'x: \"2\"'))\n")  # fmt: skip
    editor.chmod(0o700)
    assert await kubectl("edit", "configmap", "a", env={"EDITOR": str(editor), "PATH": "/usr/bin:/bin"}) == (
        "configmap/a edited\n"
    )
    assert (await targets.get(served_kube.config_maps, "a"))["data"] == {"x": "2"}


async def test_unknown_fields(served_kube: Target, kubectl: Kubectl) -> None:
    """Strict by default: refused with the field's path; `warn` drops them and says so; nothing is lost silently."""
    wrong = targets.pod("a")
    wrong["spec"]["containers"][0]["imagee"] = "x"
    said = await kubectl.said("apply", "-f", "-", stdin=_text(wrong))
    assert (said.code, 'unknown field "spec.containers[0].imagee"' in said.err) == (1, True)
    said = await kubectl.said("apply", "--validate=warn", "-f", "-", stdin=_text(wrong))
    assert (said.code, said.out) == (0, "pod/a created\n")
    assert 'Warning: unknown field "spec.containers[0].imagee"' in said.err
    wrong = targets.prowjob("a", bogus=1)
    said = await kubectl.said("create", "-f", "-", stdin=_text(wrong))
    assert (said.code, 'unknown field "spec.bogus"' in said.err) == (1, True)
    assert await kubectl("create", "--validate=ignore", "-f", "-", stdin=_text(wrong)) == (
        "prowjob.prow.k8s.io/a created\n"
    )


async def test_a_kind_that_is_not_served(kubectl: Kubectl) -> None:
    """What kubectl says of it names the kind, not what it looked for in vain to check it."""
    content = _text({"apiVersion": "example.com/v1", "kind": "Foo", "metadata": {"name": "a"}})
    for verb in ("apply", "create"):
        said = await kubectl.said(verb, "-f", "-", stdin=content)
        assert (said.code, 'no matches for kind "Foo" in version "example.com/v1"' in said.err) == (1, True), said.err


async def test_replace(served_kube: Target, kubectl: Kubectl) -> None:
    """The whole object is put in its place; with --force it is deleted and made anew."""
    made = await targets.create(served_kube.config_maps, targets.config_map("a", x="1"))
    await kubectl("replace", "-f", "-", stdin=_text(targets.config_map("a", y="2")))
    found = await targets.get(served_kube.config_maps, "a")
    assert (found["data"], found["metadata"]["uid"]) == ({"y": "2"}, made["metadata"]["uid"])
    await kubectl("replace", "--force", "-f", "-", stdin=_text(targets.config_map("a", z="3")))
    found = await targets.get(served_kube.config_maps, "a")
    assert (found["data"], found["metadata"]["uid"] != made["metadata"]["uid"]) == ({"z": "3"}, True)
