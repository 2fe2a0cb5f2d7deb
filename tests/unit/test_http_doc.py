"""``docs/http.md`` names every address that there is, and none that there is not."""

from __future__ import annotations

import re

from django.urls import get_resolver

from project import config


def test_every_address_is_documented() -> None:
    text = (config.BASE / "docs" / "http.md").read_text()
    known = {re.sub(r"<\w+:(\w+)>", "<>", str(pattern.pattern)) for pattern in get_resolver("project.urls").url_patterns}
    known -= {"", "s/<>", "api/<>"}
    told = {re.sub(r"<[^>]*>", "<>", path).partition("?")[0].lstrip("/") for path in re.findall(r"(/(?:api/[^`\s]*|livez|readyz|metrics))", text)}
    told = {re.sub(r"<>, <> or <>", "<>", path) for path in told}
    assert known == told
