"""The messages of the public interface to a client: names, fields, and what they mean. A leaf beside ``messages``."""

from __future__ import annotations

from editor.messages import FILE, INSTRUCTION, RUN, Field, Message

_REGION = Field(
    "region",
    dict,
    "`{from, to, first_line, last_line}`: UTF-16 units, and lines counted from 1",
)
_BY = Field("by", dict, "`{participant, name, color}`: who asked")
_EDITS = (
    Field("check", int, "CRC-32 of the region's text in UTF-8: where a client's text differs, the edits do not fit it"),
    Field(
        "edits",
        list,
        "`{from, to, text}` in ascending order, UTF-16 units of the file as it is without them. Several lines of text are lines of their own: "
        "before the line that begins at `from` = `to` (and then they end in a newline), or behind `to`, which is a line's end",
    ),
)
_CONTINUES = Field("continues", str, "the run that this one goes on from, or null")
_CHAIN = Field("chain", list, "the earlier instructions that it goes on from, oldest first: `{by, instruction}`")
_RETRIES = Field("retries", str, "the run that this one does again, or null")
_FIGURES = (
    Field("tokens", int, "tokens generated"),
    Field("ttft_ms", float, "time to first token in ms, from the request to the first token; null before it"),
    Field("tokens_per_s", float, "generation rate after the first token; null while unknown"),
)

_NOTES = Field("notes", list, "sentences for people: what of the file the model did not see, what of its answer was left out")
_SAW = Field("saw", list, "what the model was shown, the run's own file first: `{path, tokens, of, why}`; of: tokens of the whole file")
_ENGINE = Field("engine", str, "`fast` or `deep`")
_ENGINES = Field(
    "engines",
    dict,
    "which models a run can be given to: `fast` for the usual one, `deep` where there is a second; each as in `model`, "
    "whose state can be `asleep` here: it is loaded when it is first asked for",
)

TO_CLIENT: dict[str, Message] = {
    m.type: m
    for m in (
        Message(
            "welcome",
            "The answer to `hello`.",
            (
                Field("version", int),
                Field("role", str, "`host`, `editor` or `viewer`"),
                Field("participant", str, "this participant's id"),
                Field("name", str),
                Field("color", str, "`#rrggbb` from the palette"),
                Field(
                    "session",
                    dict,
                    "`{id, title, expires_at, lineage, viewers_may_stop, drafts}`; a copy of another lineage must not be merged; "
                    "drafts: the host's choice, null for what suits the model",
                ),
                Field("model", dict, "as in `model`"),
                _ENGINES,
                Field("limits", dict, "name -> number, as in the settings table"),
                Field("participants", list, "as in `participants`"),
                Field("runs", list, "the timeline, oldest first: objects as in `run.card`"),
            ),
        ),
        Message(
            "participants",
            "Who is here, whenever that changes.",
            (Field("participants", list, "`{participant, name, color, role, clients: [Yjs client ids]}`"),),
        ),
        Message(
            "session",
            "What the host has changed of the session.",
            (Field("session", dict, "as in `welcome`"),),
        ),
        Message(
            "role",
            "The host has given this participant another role; the links to share with it come from joining again.",
            (Field("role", str, "`host`, `editor` or `viewer`"),),
        ),
        Message(
            "instruction.typed",
            "Another participant's instruction line as it stands; empty text: cleared.",
            (
                Field("participant", str),
                Field("name", str),
                Field("color", str),
                Field("text", str),
                Field("file", str),
            ),
        ),
        Message(
            "instruction.region",
            "To the one who types: the lines that a run of the instruction, as it stands, would rewrite. None where there is no instruction or no run could be.",
            (FILE, Field("regions", list, "as in `run.started`")),
        ),
        Message(
            "model",
            "The model's state, whenever it changes. The server may change to another model at any time: runs under way finish as `stopped`, "
            "those that are asked for while it loads wait.",
            (
                Field(
                    "model",
                    dict,
                    "`{name, state, detail, progress}`; state: `loading`, `ready`, `failed`; detail: for people; "
                    "progress: 0 to 1 of the loading, null while it is unknown",
                ),
            ),
        ),
        Message(
            "drafts",
            "Whether drafts are made while somebody types an instruction, after `hello` and whenever that changes.",
            (
                Field(
                    "state",
                    str,
                    "`on`, `off` (the host's choice, or the model is not a fast one) or `paused`: too slow just now, tried again now and then",
                ),
                Field("ms", float, "from a keystroke to its draft, the middle of the last ones; null before the first"),
                Field("bound_ms", int, "above this they pause (ENSEMBLE_MAX_DRAFT_MS)"),
            ),
        ),
        Message(
            "draft.shown",
            "What the model would do with the instruction that somebody is typing, in place of that person's draft before. Nothing of it is in the document. "
            "A `run.start` of the same person with this instruction, for this region, takes it: the edit is there at once.",
            (
                Field("id", str),
                _BY,
                FILE,
                INSTRUCTION,
                Field(
                    "region",
                    dict,
                    "as in `run.started`; of several, from the first one's beginning to the last one's end: what the edits were made for",
                ),
                Field("regions", list, "all of them, as in `run.started`"),
                *_EDITS,
            ),
        ),
        Message(
            "draft.gone",
            "That person's draft is shown no more.",
            (
                Field("participant", str),
                Field("why", str, "`changed`: somebody has changed the text that it was made for; the line may be sent again. Else empty"),
            ),
        ),
        Message(
            "engines",
            "The state of another model than the usual one, whenever it changes.",
            (_ENGINES,),
        ),
        Message(
            "saved",
            "Every update of this connection's Yjs client id below `clock` is durable.",
            (
                Field("client", int, "the Yjs client id that `clock` is of: as awareness says, else of the newest update; null before"),
                Field("clock", int),
                Field("updates", int, "how many sync-step-2 and update frames of this connection are durable; deletions have no clock"),
            ),
        ),
        Message(
            "storage",
            "Whether edits reach the disk. While `failing`, they are kept in memory and tried again.",
            (Field("state", str, "`ok` or `failing`"), Field("message", str)),
        ),
        Message(
            "run.queued",
            "The run waits for its turn; again when its place changes.",
            (
                RUN,
                Field("position", int, "1 is next, of all runs of the server"),
                Field("reason", str, "for people: what it waits for beside its turn; empty: nothing"),
                Field("behind", str, "the run that rewrites its lines just now, which could be steered instead; or null"),
                _BY,
                INSTRUCTION,
                FILE,
                Field("mode", str, "`edit` or `ask`"),
                _ENGINE,
                _CONTINUES,
                _CHAIN,
                _RETRIES,
            ),
        ),
        Message(
            "run.started",
            "The run has chosen its region and begins. Sent again when its notes change, and to those who come while it streams.",
            (
                RUN,
                _BY,
                FILE,
                _REGION,
                Field(
                    "regions",
                    list,
                    "all of them, in ascending order, as `region`, which is the first; several where an instruction concerns many places",
                ),
                INSTRUCTION,
                Field("mode", str),
                _ENGINE,
                Field("model", str),
                _CONTINUES,
                _CHAIN,
                _RETRIES,
                _NOTES,
                _SAW,
            ),
        ),
        Message(
            "run.progress",
            "At most one each 100 ms while the run streams, for each of its places.",
            (RUN, *_FIGURES, Field("places", dict, "`{done, of}`: how many of the run's regions are done")),
        ),
        Message(
            "run.text",
            "More of the answer to a question; all of it so far to somebody who comes while it streams, behind `run.started`.",
            (RUN, Field("text", str, "to append")),
        ),
        Message(
            "variants.started",
            "Several replies to one instruction are made, to choose from. Nothing of them is in the document. Sent again when their place in the queue or their lines change.",
            (
                Field("run", str, "the id that `run.keep`, `run.steer` and `run.stop` take"),
                _BY,
                FILE,
                INSTRUCTION,
                _CHAIN,
                Field("count", int),
                Field("model", str),
                Field("region", dict, "as in `draft.shown`; null while they wait"),
                Field("regions", list, "as in `draft.shown`; empty while they wait"),
                Field("position", int, "in the queue, 1 is next; 0: they have begun"),
                Field("reason", str, "what they wait for, for people"),
                Field(
                    "changed",
                    str,
                    "`typed`: people have changed the lines, which a taken one works around; `rewritten`: a run has, and none can be taken; else empty",
                ),
                Field(
                    "unsure",
                    bool,
                    "nobody asked for them: a run was not sure enough to write. They go when their person types an instruction or gives one",
                ),
            ),
        ),
        Message(
            "variants.shown",
            "One variant as it stands, while it is written at most each 100 ms. A client that reads too slowly gets the last of them only.",
            (
                Field("run", str),
                Field("variant", int, "from 0"),
                Field("state", str, "`streaming`, `done`, `same`, `declined` or `failed`"),
                Field("same_as", int, "the variant that came out equal, or null"),
                *_FIGURES,
                Field("reason", str, "for people"),
                Field("diff", list, "as in `run.card`; of one that is done, with all lines of its regions"),
                Field("check", int, "as in `draft.shown`"),
                Field("edits", list, "as in `draft.shown`, counted from the beginning of the region"),
            ),
        ),
        Message(
            "variants.gone",
            "The variants are there no more.",
            (
                Field("run", str),
                Field("outcome", str, "`taken`, `dropped`, `steered` (new ones come) or `failed`"),
                Field("by", dict, "who took, dropped or steered"),
                Field("variant", int, "which was taken, or null"),
                Field("taken", str, "the id of the run that it was applied as, or null"),
                Field("reason", str, "for people"),
            ),
        ),
        Message(
            "run.finished",
            "The run has ended; nothing of it lands afterwards.",
            (
                RUN,
                Field("outcome", str, "`done`, `stopped`, `steered`, `declined` or `failed`"),
                *_FIGURES,
                Field("reason", str, "for people, when the outcome needs one", required=False),
            ),
        ),
        Message(
            "run.card",
            "All that the timeline shows of a finished run; again when that changes (undone, kept).",
            (
                RUN,
                _BY,
                FILE,
                Field("path", str),
                INSTRUCTION,
                Field("mode", str),
                _ENGINE,
                Field("model", str),
                _CONTINUES,
                _CHAIN,
                _RETRIES,
                Field("outcome", str),
                *_FIGURES,
                Field("reason", str),
                _NOTES,
                _SAW,
                Field("text", str, "the answer to a question, as Markdown; else empty", required=False),
                Field("started_at", str, "ISO 8601"),
                Field("undone", bool),
                Field("kept", bool),
                Field(
                    "diff",
                    list,
                    "lines `{op, old, new, tokens}`: op is ' ', '+', '-' or '@' (a gap); old and new are line numbers or null; tokens are [Pygments CSS class, text] pairs",
                ),
            ),
        ),
        Message(
            "error",
            "Something sent was refused; the document is untouched.",
            (Field("code", str), Field("message", str), Field("run", str, "the run concerned", required=False)),
        ),
    )
}
