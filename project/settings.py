"""Django's settings, all of them from ``project.config``."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path

from project import config, kept


def _secret_key(data: Path) -> str:
    """The key of the data folder, made at the first start. Links die with it."""
    path = data / "secret.key"
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists() and (key := path.read_text().strip()):
            return key
        with kept.private(path) as file:
            # Two first starts have one key; and one that was cut off before it had written leaves none.
            with suppress(OSError):  # a disk without locks
                fcntl.flock(file, fcntl.LOCK_EX)
            key = file.read().strip()
            if not key:
                key = secrets.token_urlsafe(48)
                file.write(key)
                file.flush()
                os.fsync(file.fileno())
        return key
    except OSError as fault:
        sys.exit(f"The data folder {data} cannot be written ({fault.strerror}). Set ENSEMBLE_DATA to a folder of yours.")


_values = config.values
BASE_DIR = config.BASE
ENSEMBLE = _values
DATA = config.data_folder(_values["ENSEMBLE_DATA"])
SECRET_KEY = _values["ENSEMBLE_SECRET_KEY"] or _secret_key(DATA)
DEBUG = _values["ENSEMBLE_DEBUG"]

try:
    PUBLIC_URL = config.public_url(_values["ENSEMBLE_PUBLIC_URL"])
    DATABASES = {"default": config.database(_values["DATABASE_URL"], DATA)}
except config.BadSetting as bad:
    sys.exit(str(bad))
_https = PUBLIC_URL.startswith("https://")
ALLOWED_HOSTS = config.allowed_hosts(_values["ENSEMBLE_ALLOWED_HOSTS"], PUBLIC_URL)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = ["daphne", "django.contrib.staticfiles", "channels", "editor", "project.apps.ProjectConfig"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "project.security.middleware",
    "django.middleware.common.CommonMiddleware",
    # What `editor.http.endpoint` makes has a rule of its own, for clients that are no pages too; this is for all that is none.
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
# The bundle is served as esbuild leaves it: no collectstatic between a build and the page.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
APPEND_SLASH = False
DATA_UPLOAD_MAX_MEMORY_SIZE = _values["ENSEMBLE_MAX_DOCUMENT_BYTES"]

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "no-referrer"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _https else None
SECURE_SSL_REDIRECT = _https
# A probe asks the process itself, not by way of the proxy that does the encryption.
SECURE_REDIRECT_EXEMPT = [r"^(livez|readyz|metrics)$"]
SECURE_HSTS_SECONDS = 31536000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _https
# Entering a domain in the browsers' preload list cannot be taken back for months: that is for its owner to do.
SILENCED_SYSTEM_CHECKS = ["security.W021"]


def _is_news(record: logging.LogRecord) -> bool:
    """A probe that is told "not yet" has its answer; whoever reads the log has none to give."""
    probed = getattr(getattr(record, "request", None), "path", "") == "/readyz"
    return not (probed and getattr(record, "status_code", 0) == 503)


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"news": {"()": "django.utils.log.CallbackFilter", "callback": _is_news}},
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "inference": {"level": "INFO"},
        "editor": {"level": "INFO"},
        "project": {"level": "INFO"},
        # Access lines would hold every address; capabilities are in none of them, but nobody needs them either.
        "django.channels.server": {"level": "ERROR"},
        "daphne": {"level": "WARNING"},
        # Addresses that were not found may hold anything that somebody has pasted.
        "django.request": {"level": "ERROR", "filters": ["news"]},
    },
}
