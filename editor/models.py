"""What is durable of a session. All writes go through ``editor.storage``'s writer thread."""

from __future__ import annotations

from django.db import models


class Session(models.Model):
    """The durable thing behind a link. Tokens are derived from the generations below and are stored nowhere."""

    id = models.CharField(primary_key=True, max_length=16)
    title = models.CharField(max_length=200, blank=True)
    lineage = models.CharField(max_length=32)
    host_generation = models.PositiveIntegerField(default=0)
    edit_generation = models.PositiveIntegerField(default=0)
    view_generation = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    active_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.title or self.id


class Participant(models.Model):
    """Somebody who has joined. ``link`` and ``generation`` say which token let them in."""

    id = models.CharField(primary_key=True, max_length=16)
    session = models.ForeignKey(Session, on_delete=models.CASCADE)
    name = models.CharField(max_length=100)
    color = models.CharField(max_length=7)
    role = models.CharField(max_length=10)
    link = models.CharField(max_length=4)
    generation = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.role})"


class DocumentUpdate(models.Model):
    """One entry of a session's append-only log: a Yjs update, in the order of ``id``."""

    id = models.BigAutoField(primary_key=True)
    session = models.ForeignKey(Session, on_delete=models.CASCADE)
    data = models.BinaryField()

    class Meta:
        indexes = (models.Index(fields=("session", "id"), name="update_by_session"),)

    def __str__(self) -> str:
        return f"update {self.id} of {self.session_id}"


class DocumentSnapshot(models.Model):
    """The log of a session up to and with update ``last``, as one update."""

    session = models.OneToOneField(Session, primary_key=True, on_delete=models.CASCADE)
    last = models.BigIntegerField()
    data = models.BinaryField()

    def __str__(self) -> str:
        return f"snapshot of {self.session_id} up to {self.last}"


class RunRecord(models.Model):
    """A finished run, as its card shows it."""

    id = models.CharField(primary_key=True, max_length=16)
    session = models.ForeignKey(Session, on_delete=models.CASCADE)
    started_at = models.DateTimeField()
    card = models.JSONField()

    class Meta:
        indexes = (models.Index(fields=("session", "started_at"), name="run_by_session"),)

    def __str__(self) -> str:
        return f"run {self.id} of {self.session_id}"
