"""The region's whole new text as chat models write it, token by token: the fences, tags and talk around it are left out. Pure.

What is left is mended line by line: ``mending.py``.
"""

from __future__ import annotations

import re

from inference import signs
from inference.api import Event, Note, Task
from inference.mending import Body
from inference.replies import Unusable

TALK = "What the model said around the code was left out."
# With so much of the first line it is known whether it begins like chatter.
TELLING = 16
# A model that goes on with empty lines has ended.
BLANK_LINES = 600
# An empty answer is one to these: to what means the whole region, and no part of it.
REMOVES_ALL = re.compile(
    r"\b(?:delete|remove|drop|clear|erase|get rid of) (?:(?:this|these|that|those|it|them|all|everything)(?=[\s.,!]*(?:(?:please|now)[\s.!]*)?\Z)|"
    r"(?:all )?(?:of )?(?:the|this|these|that|those|all) (?:(?:whole|entire|selected|following|code|test) )*"
    r"(?P<noun>(?:function|class|method|block|section|line|file|region|selection|paragraph|test|code)(?:e?s)?)"
    r"(?:(?=\s*(?:[.,;:!?]|\Z))|(?=\s+(?:please|now|completely|entirely|and|because|since|as|it)\b)|\s+`?(?P<name>\w+)`?(?=[\s.!()]*\Z)))",
    re.IGNORECASE,
)
STAYS = re.compile(r"\b(keep|leave|but|except|only|instead|rest|others?)\b", re.IGNORECASE)

# A line that begins so is no sentence.
NAME = re.compile(r"[A-Za-z]*[_(\[=\d]")


class RewriteReader:
    """Hunk and Text events of a reply. A line is let through token by token once it can be nothing but the region's.

    Blank lines wait for text to follow them, so that a reply's trailing newlines add nothing.
    """

    def __init__(self, task: Task) -> None:
        self.complete = False
        self._body = Body(task)
        self._path = task.path
        self._asked = " ".join((*task.earlier, task.instruction))
        self._removes = _removes_all(task)
        lines = task.region.split("\n")
        self._old = {line.rstrip() for line in lines}
        self._code = signs.is_code(task.path) and not signs.in_literal(task.before, task.path)
        # Elements of the file's own may be named as the prompt's tags; in markup, they may stand anywhere in it.
        known = "".join((task.region, self._asked) if self._code else (task.before, task.region, task.after, self._asked))
        self._tags = {name for name in ("region", "file", *["code"] * self._code) if not re.search(rf"</?{name}\b", known)}
        self._opened: set[str] = set()  # those of them that have been seen
        self._fences_in_region = any(signs.FENCE.match(line) for line in lines)
        self._begins_with_fence = bool(signs.FENCE.match(next((line for line in lines if line.strip()), "")))
        self._line = ""
        self._sent = 0  # how much of the unfinished line has been let through
        self._begun = False  # text of the region has been seen; before it, talk and fences may stand
        self._wrapped = False  # a fence was opened around it
        self._closing = ""  # a fence or tag that ends the reply if nothing follows
        self._inner = False  # within a fence of the region's own
        self._talk: list[tuple[str, bool]] = []  # lines that look like talk, and whether surely
        self._written = ""  # for what spans lines; of code that is not fenced only

    def feed(self, piece: str, control: bool) -> list[Event]:
        out: list[Event] = []
        if control:
            return out
        *ended, rest = (self._line + piece).split("\n")
        for line in ended:
            if not self.complete:
                self._end_line(line.removesuffix("\r"), out)
        if self.complete:
            return out
        self._line = rest
        shown = rest.removesuffix("\r")
        if len(shown) > self._sent and self._is_text(shown):
            self._begun = True
            self._body.part(shown[self._sent :], out)
            self._sent = len(shown)
        return out

    def finish(self) -> list[Event]:
        out: list[Event] = []
        if self._line and not self.complete:
            self._end_line(self._line, out)
        if not self.complete:
            self._conclude(out)
        return out

    def _is_text(self, partial: str) -> bool:
        """Whether an unfinished line is surely text of the region, and no fence, tag or talk."""
        if self._sent:
            return True
        stripped = partial.lstrip()
        if not stripped or stripped[0] in "`~<" or self._talk or self._closing or self._body.holds(partial):
            return False
        if self._code and partial[0] not in " \t" and len(stripped) < TELLING and not NAME.match(stripped):
            return False
        if self._begun:
            return not (self._may_talk() and _talkative(partial))
        return len(stripped) >= TELLING and not re.match(signs.CHATTER_START, stripped, re.IGNORECASE) and not (self._code and _talkative(partial))

    def _may_talk(self) -> bool:
        return self._code and not self._wrapped and not signs.in_literal(self._written, self._path)

    def _end_line(self, line: str, out: list[Event]) -> None:
        self._line = ""
        sent, self._sent = self._sent, 0
        fence = signs.FENCE.match(line)
        if sent:
            self._text(line, sent, out)
        elif fence and (self._wrapped or not (self._fences_in_region and (self._begun or self._begins_with_fence))):
            self._fence(line, fence[1], out)
        elif fence and not self._begun and fence[1].lower() in ("md", "markdown") and line.rstrip() not in self._old:
            self._open(fence[1], out)
        elif line.strip() and line.rstrip() in self._old and self._begun:
            self._unclose(out)
            self._text(line, 0, out)
        elif (tag := signs.TAG.match(line)) and tag[tag.lastindex or 0] in self._tags and (tag[3] or self._code or not self._body.opened):
            self._tag(line, tag, out)
        elif not line.strip():
            if self._closing:
                self._closing += "\n" + line
            elif self._begun:
                self._blank(line, out)
        elif not self._begun and self._code and signs.is_talk(line):
            self._talk.append((line, True))
        elif not self._begun and signs.CHATTER.match(line):
            self._talk.append((line, False))
        elif self._begun and self._may_talk() and (self._body.blank or self._closing or signs.explains(line)) and signs.is_talk(line):
            self._body.note(TALK, out)
            self._conclude(out)
        else:
            self._unclose(out)
            self._begin(out)
            self._text(line, 0, out)

    def _fence(self, line: str, language: str, out: list[Event]) -> None:
        """One that the region need not have: it opens or ends the answer, or stands within it."""
        if not self._begun:
            self._open(language, out)
        elif not self._wrapped or not self._fences_in_region:
            self._conclude(out)
        elif self._inner or language:
            self._unclose(out)
            self._inner = not self._inner
            self._text(line, 0, out)
        else:
            self._unclose(out)
            self._closing = line

    def _tag(self, line: str, tag: re.Match[str], out: list[Event]) -> None:
        """One of the prompt's. In what may be markup, a closing one without the one that opens it ends the answer only if nothing follows."""
        if not tag[3]:
            self._opened.add(tag[1] or tag[2])
        elif self._begun and (self._code or tag[3] in self._opened):
            self._conclude(out)
        elif self._begun:
            self._closing += "\n" * bool(self._closing) + line

    def _blank(self, line: str, out: list[Event]) -> None:
        self._body.line(line, 0, out)
        if len(self._body.blank) > BLANK_LINES:
            self._conclude(out)

    def _text(self, line: str, sent: int, out: list[Event]) -> None:
        self._begun = True
        if self._code and not self._wrapped:
            self._written += line + "\n"
        self._body.line(line, sent, out)
        if self._body.over:
            self._conclude(out)

    def _open(self, language: str, out: list[Event]) -> None:
        self._begun = self._wrapped = True
        other = signs.other_language(self._path, language, self._asked)
        if other:
            raise Unusable(f"The model answered in {other}, which {self._path} is not; nothing was changed.")
        if self._talk:
            self._body.note(TALK, out)
        self._talk.clear()

    def _begin(self, out: list[Event]) -> None:
        """The region's text begins without a fence: what only looked like talk is its beginning."""
        if any(sure for _, sure in self._talk):
            self._body.note(TALK, out)
        for line, sure in self._talk:
            if not sure:
                self._text(line, 0, out)
        self._talk.clear()

    def _unclose(self, out: list[Event]) -> None:
        """More follows: the fence or tag was one of the region's."""
        closing, self._closing = self._closing, ""
        self._inner = self._inner != bool(signs.FENCE.match(closing))
        for line in closing.split("\n") if closing else ():
            self._text(line, 0, out)

    def _conclude(self, out: list[Event]) -> None:
        self.complete = True
        if self._talk and not self._begun:
            if any(sure for _, sure in self._talk):
                said = " ".join(line.strip() for line, _ in self._talk)
                raise Unusable(f"The model answered in words instead of code: “{said[:200]}{'…' * (len(said) > 200)}” Nothing was changed.")
            # No fence came after what looked like chatter: it was the answer.
            self._begin(out)
        self._body.end(out)
        if not self._body.opened:
            if self._removes and self._old != {""}:
                out.append(self._body.hunk)
            else:
                out.append(Note("The model's answer was empty."))


def _removes_all(task: Task) -> bool:
    """Whether the region as a whole is to go. A name must be one that stands in it, and a line the only one."""
    found = REMOVES_ALL.search(task.instruction)
    if not found or STAYS.search(task.instruction) or (found["noun"] == "line" and "\n" in task.region.strip()):
        return False
    return not found["name"] or bool(re.search(rf"\b{found['name']}\b", task.region))


def _talkative(partial: str) -> bool:
    """Whether an unfinished line may turn out to be talk."""
    return partial[0] not in " \t#/\"'-;%@}])" and bool(signs.FAR_EAST.search(partial) or not re.search(r"[=(){}\[\];<>@$|\\]", partial))
