"""What a host does with the server's models over HTTP, where the operator lets hosts (``ENSEMBLE_HOSTS_CHOOSE_MODEL``)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, JsonResponse

from editor import rooms
from editor.http import Refused, body, endpoint, requester, string
from inference.catalogue import BUILT_IN, UnknownModel, catalogue
from project import config, downloads, models

NAME_LENGTH = 200

_requester = sync_to_async(requester)


@endpoint("GET", "PUT", "POST", "DELETE")
async def model(request: HttpRequest, session: str) -> HttpResponse:
    """GET lists the models that are installed, those of the catalogue that are not, and how far a download is.

    With ``{"model"}``: PUT changes the whole server to an installed one, POST begins to fetch one of the catalogue,
    DELETE stops its download or removes it. Names only: a host, whom any visitor becomes by beginning a session, names no
    files and no addresses.
    """
    await _requester(request, session, "manage")
    allowed = config.values["ENSEMBLE_HOSTS_CHOOSE_MODEL"] and not config.values["ENSEMBLE_MODEL"]
    if request.method == "GET":
        nothing: dict[str, Any] = {"models": [], "to_install": [], "download": None}
        return JsonResponse({"may_choose": bool(allowed), **(await sync_to_async(_list)() if allowed else nothing)})
    name = string(body(request), "model", NAME_LENGTH)
    if not allowed:
        raise Refused(400, "unsupported", "Whoever runs this server chooses its model, with ./manage.py model use.")
    if request.method == "PUT" and rooms.current().engine.info.state == "loading":
        raise Refused(409, "model_unavailable", "A model is being loaded just now. Wait until it is ready.")
    await sync_to_async({"PUT": _use, "POST": _install, "DELETE": _remove}[str(request.method)])(name)
    return JsonResponse({"model": name}, status=202 if request.method == "POST" else 200)


def _list() -> dict[str, Any]:
    folder, used = models.folder(), models.used() or config.EMBEDDED_MODEL
    installed = folder.installed()
    paths = {BUILT_IN: config.EMBEDDED_MODEL} | {name: found.path for name, found in installed.items()}
    there, to_install = [], []
    for name, path in paths.items():
        about = models.describe(path)
        there.append({"model": name, "bytes": about.bytes, "fit": about.fit, "in_use": path == used, "own": name == BUILT_IN})
    for name, entry in catalogue().items():
        if name not in installed:
            begun = sum(part.stat().st_size for part in folder.parts(name))
            to_install.append(
                {
                    "model": name,
                    "bytes": entry.bytes,
                    "fit": models.describe(entry).fit,
                    "licence": entry.licence,
                    "good_for": entry.good_for,
                    "begun_bytes": begun,
                }
            )
    now = downloads.current().now
    return {"models": there, "to_install": to_install, "download": asdict(now) if now else None}


def _use(name: str) -> None:
    folder = models.folder()
    if name != BUILT_IN and name not in folder.installed():
        raise Refused(404, "not_found", "There is no such model installed on this server.")
    try:
        models.check(folder.find(name))
        models.choose(name)
    except (UnknownModel, models.Unusable) as fault:
        raise Refused(409, "model_unavailable", str(fault)) from None
    except OSError:
        raise Refused(503, "unavailable", "The choice could not be written to the server's disk.") from None


def _install(name: str) -> None:
    entry = catalogue().get(name)
    if entry is None:
        raise Refused(404, "not_found", f"The catalogue has no such model. It has {', '.join(catalogue())}.")
    if name in models.folder().installed():
        raise Refused(409, "exists", f"{name} is installed already.")
    if models.describe(entry).fit == "too large":
        raise Refused(409, "model_unavailable", f"{name} needs more memory than this server has.")
    try:
        downloads.current().begin(entry)
    except downloads.Busy as fault:
        raise Refused(409, "busy", str(fault)) from None


def _remove(name: str) -> None:
    if downloads.current().stop(name):
        return
    try:
        models.remove(name)
    except models.Unusable as fault:
        raise Refused(409, "model_unavailable", str(fault)) from None
    except UnknownModel:
        raise Refused(404, "not_found", "There is no such model installed on this server.") from None
    except OSError as fault:
        raise Refused(503, "unavailable", f"{name} could not be removed: {fault.strerror}.") from None
