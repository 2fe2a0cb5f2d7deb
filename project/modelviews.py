"""What a host does with the server's model over HTTP, where the operator lets hosts (``ENSEMBLE_HOSTS_CHOOSE_MODEL``)."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, JsonResponse

from editor import rooms
from editor.http import Refused, body, endpoint, requester, string
from inference.catalogue import BUILT_IN, UnknownModel
from project import config, models

NAME_LENGTH = 200

_requester = sync_to_async(requester)


@endpoint("GET", "PUT")
async def model(request: HttpRequest, session: str) -> HttpResponse:
    """GET lists the installed models; PUT ``{"model"}`` changes the whole server to one of them.

    Names only: a host, whom any visitor becomes by beginning a session, names no files and fetches nothing.
    """
    await _requester(request, session, "manage")
    allowed = config.values["ENSEMBLE_HOSTS_CHOOSE_MODEL"] and not config.values["ENSEMBLE_MODEL"]
    if request.method == "GET":
        return JsonResponse({"may_choose": bool(allowed), **(await sync_to_async(_list)() if allowed else {"models": []})})
    name = string(body(request), "model", NAME_LENGTH)
    if not allowed:
        raise Refused(400, "unsupported", "Whoever runs this server chooses its model, with ./manage.py model use.")
    if rooms.current().engine.info.state == "loading":
        raise Refused(409, "model_unavailable", "A model is being loaded just now. Wait until it is ready.")
    await sync_to_async(_use)(name)
    return JsonResponse({"model": name})


def _list() -> dict[str, Any]:
    folder = models.folder()
    paths = {BUILT_IN: config.EMBEDDED_MODEL} | {name: found.path for name, found in folder.installed().items()}
    try:
        used = folder.find(models.choice().reference)
    except UnknownModel:
        used = config.EMBEDDED_MODEL
    out = []
    for name, path in paths.items():
        about = models.describe(path)
        out.append({"model": name, "bytes": about.bytes, "fit": about.fit, "in_use": path == used})
    return {"models": out}


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
