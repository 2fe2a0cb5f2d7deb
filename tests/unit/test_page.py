"""The page's pure modules, bundled as for the browser and run by node's own test runner."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

from tests.conftest import ROOT


def test_pure_modules_of_the_page(tmp_path: Path) -> None:
    node = shutil.which("node")
    assert node
    bundle, archive = tmp_path / "page.test.mjs", tmp_path / "files.zip"
    esbuild = ["node_modules/.bin/esbuild", "tests/unit/page.mjs", "--bundle", "--platform=node", "--format=esm", f"--outfile={bundle}"]
    subprocess.run([*esbuild, "--log-level=warning"], cwd=ROOT, check=True)
    result = subprocess.run([node, "--test", str(bundle)], env=os.environ | {"ZIP_OUT": str(archive)}, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    with zipfile.ZipFile(archive) as files:
        assert files.testzip() is None
        assert {name: files.read(name).decode() for name in files.namelist()} == {
            "src/ünïcode.py": "print('😀')\n",
            "empty.txt": "",
            "out.txt": "",
            "drive.txt": "",
            "out.txt.2": "2",
        }
