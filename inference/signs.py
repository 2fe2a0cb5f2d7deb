"""Signs in one line of a model's reply that it is no line of the file: talk, placeholders, fences, tags. Pure.

Each errs towards taking a line for the file's own: what slips through can be undone, what is cut away is lost.
"""

from __future__ import annotations

import re

FENCE = re.compile(r"^\s*(?:```|~~~)[`~]*\s*([\w+#.-]*)\s*$")
# The prompt's own, exactly as it writes them, and one that models like to add. The last group closes.
TAG = re.compile(r'^<(?:(region|code)|(file) path="[^"<>]*"(?: lines="\d+-\d+")?|/(region|code|file))>\s*$')

# Languages in which a sentence at the beginning of a line, outside of strings and comments, is no program.
CODE = frozenset(
    re.findall(
        r"\w+", "py pyi js mjs cjs jsx ts mts cts tsx css scss less json c h cc cpp cxx hpp cs java kt kts go rs swift rb lua dart scala zig sql pl r"
    )
)
# What fences call these languages; a fence of another language holds no text for the file.
LANGUAGES = (
    ("Python", "py pyi", "python python3 py"),
    ("JavaScript or TypeScript", "js mjs cjs jsx ts mts cts tsx", "javascript js jsx typescript ts tsx node mjs"),
    ("CSS", "css scss less", "css scss less sass"),
    ("C or C++", "c h cc cpp cxx hpp", "c cpp c++ h hpp cc cxx arduino"),
    ("Java", "java", "java"),
    ("Go", "go", "go golang"),
    ("Rust", "rs", "rust rs"),
    ("Ruby", "rb", "ruby rb"),
    ("SQL", "sql", "sql mysql postgresql sqlite plsql"),
)

OPENER = re.compile(r"(sure|certainly|of course|okay|ok|absolutely|got it|great)( thing)?[!.,:]*\Z", re.IGNORECASE)
CHATTER_START = r"(sure|here|certainly|of course|okay|ok|below|this is|the (new|updated|rewritten|revised))\b"
CHATTER = re.compile(CHATTER_START + r".*[:!.]\s*$", re.IGNORECASE)
EXPLAINS = re.compile(
    r"(explanation|notes?|(key )?changes( made)?|summary|example usage|what changed|instruction)\s*:|"
    r"(here('s| is| are)|this (code|change|version|function|updated|will|is)|the (code|function|change|updated|above|new)|"
    r"i('ve|'m| have| added| changed| am| can| cannot)|in this|let me know|hope this|these changes|sorry|unfortunately|as an ai)\b",
    re.IGNORECASE,
)
WORD = re.compile(r"[^\W\d_][\w'’-]*")
FAR_EAST = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")

COMMENT = re.compile(r"(#|//|/\*+|<!--|--|;+|%|\{/\*)\s*(.*?)\s*(\*/\}?|-->)?\Z")
DOTS = re.compile(r"\.{3,}|…")
LEFT_AS_IT_IS = re.compile(
    r"\b(rest|remain\w*|existing|unchanged|same|previous|other|original|omitted|before|code|implementation|content|lines|methods|functions|imports|logic)\b",
    re.IGNORECASE,
)
REST = re.compile(
    r"(the )?(rest|remainder|remaining)\b.*\b(code|file|function|class|method|implementation|content|region|module|lines?|functions|methods|logic)\b"
    r".*\b(unchanged|same|here|as (is|before)|goes|remains?|continues)\b|"
    r"(the )?(rest|remainder)( of (the|this|your) \w+)?( is| remains| stays)? (unchanged|the same|as before|as is)\b|"
    r"(existing|previous|original|unchanged|rest of( the| your)?) (code|implementation|methods|functions|content|imports|lines|logic)"
    r"( (goes |stays |remains )?(here|unchanged|the same|as (is|before)))?[.…]*\Z|"
    r"other (code|methods|functions|imports|lines) .*\b(unchanged|same|here|omitted)\b",
    re.IGNORECASE,
)


def extension(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2].lower() if "." in name else ""


def is_code(path: str) -> bool:
    return extension(path) in CODE


def other_language(path: str, fence: str, asked: str) -> str:
    """The programming language that a fence names where the file's is another one, and nobody asked for it; else ""."""
    there = next((name for name, extensions, _ in LANGUAGES if extension(path) in extensions.split()), "")
    said = next((name for name, _, names in LANGUAGES if fence.lower() in names.split()), "")
    mentioned = any(re.search(rf"\b{re.escape(name)}\b", asked, re.IGNORECASE) for name in (*said.split(" or "), fence) if name)
    return said if there and said and said != there and not mentioned else ""


def is_talk(line: str) -> bool:
    """Whether a line of a program is a sentence for people. Indented lines, comments and strings are not."""
    if not line or line[0] in " \t#/\"'<-;%":
        return bool(re.match(r"#{2,} (explanation|(key )?changes|summary of)\b", line, re.IGNORECASE))
    text = re.sub(r"`[^`]*`", "x", line.strip().strip("*_> "))
    if FAR_EAST.search(text):
        solid = re.sub(r"\s", "", text)
        return len(FAR_EAST.findall(solid)) >= 4 and len(FAR_EAST.findall(solid)) * 2 > len(solid) and text[-1] in "。：！？:.!?"
    if OPENER.match(text):
        return True
    words = WORD.findall(text)
    if re.search(r"[=(){}\[\];<>@$|\\]", re.sub(r"\([^()]*\)", "", text) if len(words) > 6 else text):
        return False
    if EXPLAINS.match(text):
        return len(words) >= 3 or text.endswith(":")
    return len(words) >= 5 and not text[0].islower() and text[-1] in ".:!?"


def explains(line: str) -> bool:
    """Whether a line of talk begins as explanations of code do."""
    return bool(EXPLAINS.match(line.strip("*_#> ")))


def is_placeholder(line: str, path: str) -> bool:
    """Whether it stands for code that the model did not write out: "// ... rest unchanged"."""
    text = line.strip()
    if re.fullmatch(r"\.{3,}|…", text):
        return extension(path) not in ("py", "pyi")
    if re.match(r"[\[(<]?\s*(\.{3}|…)\s+\S", text):
        return bool(LEFT_AS_IT_IS.search(text)) and not re.search(r"[=;{}\"']", text)
    match = COMMENT.match(text)
    if not match or (match[1] == "#" and extension(path) in ("md", "markdown", "mdx")):
        return False
    said = match[2]
    if dots := DOTS.match(said.lstrip("([ ")):
        words = WORD.findall(said[dots.end() :])
        return not words or (len(words) <= 12 and bool(LEFT_AS_IT_IS.search(said)))
    return bool(REST.match(said.strip("( ")))


def may_be_placeholder(partial: str) -> bool:
    """Whether an unfinished line may yet turn out to be one."""
    return bool(re.match(r"\s*(#|//|/\*|<!--|--|;|%|\{/?\*?|[\[(<]?\s*(\.|…))", partial)) or not partial.strip()


def in_literal(text: str, path: str) -> bool:
    """Whether the text ends inside a string or comment of several lines, as far as counting tells."""
    kind = extension(path)
    if kind in ("py", "pyi"):
        return bool(text.count('"""') % 2 or text.count("'''") % 2)
    if kind in ("js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "go") and text.count("`") % 2:
        return True
    return text.rfind("/*") > text.rfind("*/")
