"""kubernetes_asyncio without its generated models."""

import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.slow


def _python(code: str) -> str:
    """Run code in a fresh interpreter, where nothing is imported yet."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def test_no_generated_module_is_imported() -> None:
    """Neither models nor APIs are loaded, and nothing half-made stays behind."""
    assert (
        _python("""
        import sys
        seen = set()
        class Watch:
            def find_spec(self, name, path=None, target=None):
                seen.add(name)
        sys.meta_path.insert(0, Watch())
        from prow_async.adapters.kube import lean
        assert lean.library.lean
        assert not [n for n in seen if n.startswith("kubernetes_asyncio.client.models")], "models imported"
        print([n for n in sys.modules if n.startswith("kubernetes_asyncio")])
    """)
        == "[]"
    )


def test_the_whole_package_can_be_imported_beside_it() -> None:
    """Whoever needs the generated client gets all of it, before or after ours."""
    assert (
        _python("""
        from prow_async.adapters.kube import lean
        import kubernetes_asyncio.client
        again = lean.load()
        assert again.lean
        import kubernetes_asyncio.client as same
        print(same.V1Pod.__name__, same is kubernetes_asyncio.client)
    """)
        == "V1Pod True"
    )


def test_another_layout_falls_back_to_the_ordinary_import() -> None:
    """When a part is not where it is looked for, the package is imported as its authors meant."""
    assert (
        _python("""
        import importlib, sys
        class Hide:
            hidden = True
            def find_spec(self, name, path=None, target=None):
                if name == "kubernetes_asyncio.client.configuration" and self.hidden:
                    self.hidden = False
                    raise ModuleNotFoundError(name)
        sys.meta_path.insert(0, Hide())
        from prow_async.adapters.kube import lean
        print(lean.library.lean, lean.library.configuration.__name__)
    """)
        == "False Configuration"
    )
