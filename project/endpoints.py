"""Endpoints as the settings name them: ``ENSEMBLE_MODEL`` and ``ENSEMBLE_DEEP_MODEL`` may each be a file here, or an address elsewhere."""

from __future__ import annotations

import math
from urllib.parse import urlsplit

from inference.catalogue import UnknownModel
from inference.options import Endpoint
from project import config, models

COMPLETIONS = "/chat/completions"


class BadEndpoint(Exception):
    """A setting of an endpoint, or of the second model, cannot be; the text names it and says what it should be."""


def is_remote(reference: str) -> bool:
    return reference.lower().startswith(("http://", "https://"))


def _endpoint(setting: str, beginning: str) -> Endpoint:
    """What the settings say of one: ``setting`` holds its address, those of name and key begin with ``beginning``. Raises BadEndpoint.

    The address is not repeated in what is raised: it may hold what nobody should read.
    """
    values, url = config.values, config.values[setting].rstrip("/").removesuffix(COMPLETIONS)
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.port == 0:
            raise ValueError
    except ValueError:
        raise BadEndpoint(f"{setting} is no address that can be reached: it should look like https://host:port/v1.") from None
    if parts.username or parts.password or parts.query or parts.fragment:
        raise BadEndpoint(f"{setting} must be an address alone, such as https://host:port/v1; a key goes into {beginning}_KEY.")
    key = values[f"{beginning}_KEY"].strip()
    if not (key.isascii() and key.isprintable()):
        raise BadEndpoint(f"{beginning}_KEY holds characters that no key has.")
    return Endpoint(
        url=url if parts.path else url + "/v1",
        model=values[f"{beginning}_NAME"],
        key=key,
        setting=beginning,
        context=values["ENSEMBLE_MAX_REMOTE_CONTEXT_TOKENS"],
        max_tokens=values["ENSEMBLE_MAX_RUN_TOKENS"],
        connect=values["ENSEMBLE_MAX_REMOTE_CONNECT_SECONDS"] or math.inf,
        first=values["ENSEMBLE_MAX_REMOTE_FIRST_SECONDS"] or math.inf,
        silence=values["ENSEMBLE_MAX_REMOTE_SILENCE_SECONDS"] or math.inf,
    )


def check() -> str:
    """Before the server starts. Raises UnknownModel, Unusable or BadEndpoint; returns what is to be said, or nothing."""
    notice = ""
    if is_remote(config.values["ENSEMBLE_MODEL"]):
        fast()
    else:
        notice = models.first()[1]
    reference = config.values["ENSEMBLE_DEEP_MODEL"]
    if is_remote(reference):
        deep()
    elif reference:
        try:
            models.check(models.folder().find(reference))
        except (UnknownModel, models.Unusable) as fault:
            raise BadEndpoint(f"ENSEMBLE_DEEP_MODEL cannot be used. {fault}") from None
    return notice


def fast() -> Endpoint:
    """Raises BadEndpoint."""
    return _endpoint("ENSEMBLE_MODEL", "ENSEMBLE_MODEL")


def deep() -> Endpoint:
    """Raises BadEndpoint."""
    return _endpoint("ENSEMBLE_DEEP_MODEL", "ENSEMBLE_DEEP")
