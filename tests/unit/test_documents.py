"""Documentation is executable: it fails here when it is not what the code says."""

from __future__ import annotations

import re

from editor import protocol
from project import config, documents
from tests.conftest import ROOT


def test_the_protocol_page_is_made_from_the_tables() -> None:
    assert documents.PROTOCOL.read_text() == documents.protocol_text(), "run `manage.py documents`"


def test_the_page_says_what_each_final_close_code_means() -> None:
    told = (ROOT / "static" / "src" / "protocol.ts").read_text().partition("const CLOSED")[2].partition("\n};")[0]
    assert {int(code) for code in re.findall(r"^  (\d{4}):", told, re.MULTILINE)} == {close.code for close in protocol.CLOSES if close.permanent}


def test_the_settings_table_is_made_from_the_settings() -> None:
    now = documents.OPERATIONS.read_text()
    assert documents.operations_text(now) == now, "run `manage.py documents`"


def test_every_command_of_the_readme_exists() -> None:
    readme = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"\bmake (\w+)", readme))
    assert {"run", "test"} <= targets
    for target in targets:
        assert re.search(rf"^[\w ]*\b{target}\b[\w ]*:", makefile, re.MULTILINE), target


def test_every_setting_that_the_readme_names_is_one() -> None:
    readme = (ROOT / "README.md").read_text()
    names = {setting.name for setting in config.SETTINGS}
    for name in re.findall(r"\bENSEMBLE_[A-Z_]+[A-Z]\b", readme):
        assert name in names or any(known.startswith(name) for known in names), name


def test_links_between_documents_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "inference" / "models" / "README.md"]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
