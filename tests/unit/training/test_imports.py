"""Training runs on a bare GPU machine, where only a few libraries are installed."""

import subprocess
import sys

from neuroscan.settings import REPOSITORY

# What `training` may import of what is not Python's own, by the names under which it is imported.
ALLOWED = ("torch", "torchvision", "numpy", "cv2", "sklearn", "matplotlib", "yaml", "safetensors")
OURS = ("neuroscan", "training", "services")
# Imports every command and says which foreign packages our own modules asked for.
CODE = f"""
import builtins, sys
asked = set()
real = builtins.__import__
def watched(name, globals=None, locals=None, fromlist=(), level=0):
    importer = (globals or {{}}).get("__name__", "")
    if level == 0 and importer.partition(".")[0] in {OURS!r}:
        asked.add(name.partition(".")[0])
    return real(name, globals, locals, fromlist, level)
builtins.__import__ = watched
import training.__main__
foreign = asked - set(sys.stdlib_module_names) - set({OURS!r})
print(" ".join(sorted(foreign)))
"""


def test_every_command_imports_only_what_a_bare_machine_has() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )
    assert done.returncode == 0, done.stderr
    asked = set(done.stdout.split())
    assert {"torch", "cv2"} <= asked
    assert asked <= set(ALLOWED)
