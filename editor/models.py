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
    viewers_may_stop = models.BooleanField(default=False)
    # Null: as suits the model.
    drafts = models.BooleanField(null=True, default=None)
    created_at = models.DateTimeField(auto_now_add=True)
    active_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.title or self.id


class Participant(models.Model):
    """Somebody who has joined. ``link`` and ``generation`` say which token let them in; the host may change ``role``."""

    id = models.CharField(primary_key=True, max_length=16)
    session = models.ForeignKey(Session, on_delete=models.CASCADE)
    name = models.CharField(max_length=100)
    color = models.CharField(max_length=7)
    role = models.CharField(max_length=10)
    link = models.CharField(max_length=4)
    generation = models.PositiveIntegerField()
    removed = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.role})"


class DocumentUpdate(models.Model):
    """One entry of a session's append-only log: a Yjs update, in the order of ``id``. ``at``: ms since 1970."""

    id = models.BigAutoField(primary_key=True)
    # The index below serves: another one would be a third of what an entry costs.
    session = models.ForeignKey(Session, on_delete=models.CASCADE, db_index=False)
    at = models.BigIntegerField(default=0)
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


class HistorySegment(models.Model):
    """A stretch of the log that a snapshot has taken in, kept for the history: see ``editor/history.py``.

    ``base`` is the document before update ``first``, as one update; ``data`` holds the updates. Both are deflated.
    """

    session = models.ForeignKey(Session, on_delete=models.CASCADE)
    first = models.BigIntegerField()
    last = models.BigIntegerField()
    from_at = models.BigIntegerField()
    to_at = models.BigIntegerField()
    updates = models.PositiveIntegerField()
    base = models.BinaryField()
    data = models.BinaryField()

    class Meta:
        indexes = (models.Index(fields=("session", "first"), name="segment_by_session"),)

    def __str__(self) -> str:
        return f"updates {self.first} to {self.last} of {self.session_id}"


class Author(models.Model):
    """Who wrote what a Yjs client id stands for, from a clock on: a participant, or a run."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE)
    client = models.BigIntegerField()
    clock = models.BigIntegerField()
    participant = models.CharField(max_length=16, blank=True)
    run = models.CharField(max_length=16, blank=True)
    name = models.CharField(max_length=100)
    color = models.CharField(max_length=7)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("session", "client", "clock"), name="author_of_clock"),)

    def __str__(self) -> str:
        return f"{self.name} from {self.client}:{self.clock} on"


class RunRecord(models.Model):
    """A finished run, as its card shows it. ``past``: what taking it back and doing it again need, see ``editor/cards.py``."""

    id = models.CharField(primary_key=True, max_length=16)
    session = models.ForeignKey(Session, on_delete=models.CASCADE)
    started_at = models.DateTimeField()
    card = models.JSONField()
    past = models.JSONField(null=True)

    class Meta:
        indexes = (models.Index(fields=("session", "started_at"), name="run_by_session"),)

    def __str__(self) -> str:
        return f"run {self.id} of {self.session_id}"
