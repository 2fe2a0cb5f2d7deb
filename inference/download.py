"""Fetches a catalogue's model from the hub into the folder of models: resumed, checked, and only where there is room.

``huggingface_hub`` speaks to the hub (``HF_ENDPOINT``, proxies, certificates, tries again when a connection breaks).
Its own ``hf_hub_download`` begins anew after a stop; the part that has come is kept here, and the same command goes on.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import httpx2
from huggingface_hub import constants, errors, get_hf_file_metadata, hf_hub_url
from huggingface_hub.file_download import HfFileMetadata, http_get

from inference.catalogue import Entry, Folder
from inference.memory import MIB, human

# Room on the disk that a model must leave.
SPARE_BYTES = 256 * MIB
SHA256 = re.compile(r"[0-9a-f]{64}")

# What is said while the hub's pieces come in: bytes there, bytes in all, and what is being done.
Progress = Callable[[int, int, str], None]


class DownloadFailed(Exception):
    """One sentence for people: what happened and what to do."""


class Offline(DownloadFailed):
    """The hub cannot be reached."""


def pull(entry: Entry, folder: Folder, progress: Progress) -> Path:
    """The model's file, fetched unless it is there. Raises DownloadFailed; a KeyboardInterrupt leaves what has come."""
    place = folder.place(entry.name)
    if place.is_file():
        return place
    _settle()
    found = _look_up(entry)
    size, digest = found.size or 0, found.etag or ""
    if not size or not SHA256.fullmatch(digest):
        raise DownloadFailed(
            f"{_host()} does not say the size and the checksum of {entry.file}, as a model hub does: check the network, and HF_ENDPOINT if it is set."
        )
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        part = folder.path / f"{entry.name}.{digest[:12]}.part"
        for old in folder.parts(entry.name):
            if old != part:
                old.unlink()  # of another version
        with part.open("a+b") as file:
            _claim(file, entry)
            _check_room(entry, folder.path, size, file.seek(0, 2))
            _fetch(entry, found, file, size, progress)
            _check(entry, file, size, digest, progress)
            part.rename(place)
        _sync(folder.path)
    except OSError as fault:
        raise DownloadFailed(f"{entry.name} could not be written to {folder.path}: {fault.strerror or fault}.") from None
    return place


def _settle() -> None:
    """huggingface_hub's constants are its settings; the environment has no names for these."""
    # Otherwise somebody on a slow line sees nothing for a long time, and loses as much when the line breaks.
    constants.DOWNLOAD_CHUNK_SIZE = MIB
    # Nobody is told what this machine runs.
    constants.HF_HUB_DISABLE_TELEMETRY = True
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


def _host() -> str:
    return constants.ENDPOINT.partition("://")[2] or constants.ENDPOINT


def _look_up(entry: Entry) -> HfFileMetadata:
    url = hf_hub_url(entry.repo, entry.file)
    try:
        return get_hf_file_metadata(url, token=False)
    except errors.GatedRepoError:
        raise DownloadFailed(f"{entry.repo} on {_host()} asks for an agreement first, so Ensemble cannot fetch it.") from None
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.RemoteEntryNotFoundError):
        raise DownloadFailed(f"{_host()} does not have {entry.repo}/{entry.file} any more: choose another model.") from None
    except errors.HfHubHTTPError as fault:
        raise DownloadFailed(_answered(fault)) from None
    except (httpx2.HTTPError, errors.OfflineModeIsEnabled, ConnectionError) as fault:
        raise Offline(f"{_host()} cannot be reached ({_why(fault)}), so {entry.name} cannot be fetched now.") from None


def _claim(file: BinaryIO, entry: Entry) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise DownloadFailed(f"Another process is fetching {entry.name} just now.") from None


def _check_room(entry: Entry, folder: Path, size: int, there: int) -> None:
    needed, free = size - there + SPARE_BYTES, shutil.disk_usage(folder).free
    if needed > free:
        raise DownloadFailed(
            f"{entry.name} needs {human(needed)} on the disk of {folder}, where {human(free)} are free: "
            "make room, or set ENSEMBLE_MODELS to a folder on another disk."
        )


def _fetch(entry: Entry, found: HfFileMetadata, file: BinaryIO, size: int, progress: Progress) -> None:
    # Not the address that the hub led to: that one is signed, and dies within the hour.
    url = hf_hub_url(entry.repo, entry.file, revision=found.commit_hash)
    while (there := file.seek(0, 2)) < size:
        progress(there, size, "fetching")
        try:
            http_get(url, file, resume_size=there, expected_size=size, displayed_filename=entry.name, tqdm_class=_bar(there, size, progress))
        except errors.HfHubHTTPError as fault:
            raise DownloadFailed(_answered(fault)) from None
        except (httpx2.HTTPError, OSError) as fault:
            if isinstance(fault, OSError) and fault.errno is not None:
                raise  # of this machine's disk
            # It has been tried some times in there; as long as something comes, it is worth it.
            if file.seek(0, 2) == there:
                raise DownloadFailed(
                    f"The connection to {_host()} broke ({_why(fault)}) and did not come back. {human(there)} of {human(size)} are kept: "
                    "the same command goes on from there."
                ) from None
    if there > size:
        file.truncate(0)
        raise DownloadFailed(f"More than the {human(size)} of {entry.name} has come. Run the same command again: it begins anew.")


def _check(entry: Entry, file: BinaryIO, size: int, digest: str, progress: Progress) -> None:
    # What is checked must be what a crash of the machine leaves.
    file.flush()
    os.fsync(file.fileno())
    file.seek(0)
    found, done = hashlib.sha256(), 0
    while piece := file.read(8 * MIB):
        found.update(piece)
        done += len(piece)
        progress(done, size, "checking")
    if found.hexdigest() != digest:
        file.truncate(0)
        raise DownloadFailed(
            f"{entry.name} was damaged on its way (its checksum is another), so it was not kept. Run the same command again: it begins anew."
        )


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _answered(fault: errors.HfHubHTTPError) -> str:
    status = fault.response.status_code if fault.response is not None else 0
    later = " Try again later." if status == 429 or status >= 500 else ""
    return f"{_host()} answered with the error {status}, so nothing was fetched.{later}"


def _why(fault: Exception) -> str:
    if isinstance(fault, httpx2.TimeoutException):
        return "no answer in time"
    if isinstance(fault, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set"
    return str(fault).partition("\n")[0].rstrip(".")[:120] or type(fault).__name__


def _bar(there: int, size: int, progress: Progress) -> type[Any]:
    """What huggingface_hub takes for a class of progress bars: it tells how many bytes have come."""

    class Bar:
        def __init__(self, initial: int = there, **_: Any) -> None:
            self.done = initial  # 0 where the server takes no notice of what is there

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, count: float | None = 1) -> None:
            self.done += int(count or 0)
            progress(self.done, size, "fetching")

    return Bar
