"""Does the compiled llama.cpp work on this machine?  python -m inference.probe MODEL.gguf [--no-extra-buffers] [--attention]

A native crash takes the whole process with it, so whoever wants to know runs this as a child process and looks at how it ended:
0 it works (one line of JSON on stdout), 3 the model cannot be loaded (one line on stderr says why), 4 it computes nonsense,
a negative status (a signal) it crashes. Not part of the engine: nothing imports this.
"""

import argparse
import ctypes
import json
import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp

from inference import attention

CANNOT_LOAD = 3
NONSENSE = 4

PROMPT_TOKENS = 32  # a batch: matrix times matrix takes other code (AMX, repacked weights) than one token does
DECODE_TOKENS = 8
CONTEXT_TOKENS = 256
LOG_LEVEL_ERROR = 4
# How far two ways to the same logits may be apart, as a share of their spread. Quantised products make 0.02 of the last bit of an attention.
APART = 0.15


class CannotLoadError(Exception):
    pass


class NonsenseError(Exception):
    pass


def probe(path: str, *, extra_buffers: bool, own_attention: bool = False) -> dict[str, Any]:
    """Evaluate a prompt and decode a few tokens greedily. Raises CannotLoadError or NonsenseError.

    ``own_attention``: then the same with flash attention, llama.cpp's and ours, which have to agree.
    """
    errors: list[str] = []

    @llama_cpp.llama_log_callback  # type: ignore[untyped-decorator, unused-ignore]
    def log(level: int, text: bytes, _: object) -> None:
        if level == LOG_LEVEL_ERROR:
            errors.append(text.decode(errors="replace").strip())

    llama_cpp.llama_log_set(log, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    model_params = llama_cpp.llama_model_default_params()
    model_params.use_extra_bufts = extra_buffers
    model = llama_cpp.llama_model_load_from_file(path.encode(), model_params)
    if not model:
        raise CannotLoadError(" ".join(" ".join(errors).split()) or "llama.cpp gives no reason")
    if not llama_cpp.llama_model_chat_template(model, None) and not _has_token(model, b"<|patch|>"):
        raise CannotLoadError("it carries no chat template, so Ensemble cannot ask it for edits; an instruct or chat model does")
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    context = _context(model, llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED, errors)
    # Any tokens will do: what is tried is the arithmetic, not the answer.
    prompt = [(7919 * i + 11) % vocabulary for i in range(PROMPT_TOKENS)]
    started = time.perf_counter()
    token = int(_step(context, prompt, vocabulary).argmax())
    prompted = time.perf_counter()
    decoded = []
    for _ in range(DECODE_TOKENS):
        decoded.append(token)
        token = int(_step(context, [token], vocabulary).argmax())
    ended = time.perf_counter()
    llama_cpp.llama_free(context)
    if own_attention:
        _compare(model, [*prompt, *decoded], vocabulary, errors)
    result = {
        "ok": True,
        "use_extra_bufts": extra_buffers,
        "decoded": decoded,
        "prompt_ms": round(1000 * (prompted - started), 2),
        "decode_ms_per_token": round(1000 * (ended - prompted) / DECODE_TOKENS, 2),
        "system": (llama_cpp.llama_print_system_info() or b"").decode().strip(),
    }
    llama_cpp.llama_model_free(model)
    llama_cpp.llama_log_set(llama_cpp.llama_log_callback(), ctypes.c_void_p(0))
    return result


def _has_token(model: Any, text: bytes) -> bool:
    room = len(text) + 2
    tokens = (llama_cpp.llama_token * room)()
    return llama_cpp.llama_tokenize(llama_cpp.llama_model_get_vocab(model), text, len(text), tokens, room, False, True) == 1


def _context(model: Any, flash: int, errors: list[str]) -> Any:
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = CONTEXT_TOKENS
    params.flash_attn_type = flash
    context = llama_cpp.llama_init_from_model(model, params)
    if not context:
        raise CannotLoadError(" ".join(" ".join(errors).split()) or "llama.cpp cannot make a context for it")
    return context


def _step(context: Any, tokens: list[int], vocabulary: int) -> npt.NDArray[np.float32]:
    """The logits behind them."""
    array = (llama_cpp.llama_token * len(tokens))(*tokens)  # the batch only points to it: it must outlive the call below
    if status := llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(array, len(tokens))):
        raise NonsenseError(f"llama_decode returned {status}")
    logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, -1), shape=(vocabulary,))
    if not np.isfinite(logits).all():
        raise NonsenseError("some logits are not finite")
    return logits.copy()


def _compare(model: Any, tokens: list[int], vocabulary: int, errors: list[str]) -> None:
    """All but the last few ``tokens`` at once, then those one by one, with both attentions."""

    def way() -> list[npt.NDArray[np.float32]]:
        context = _context(model, llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED, errors)
        logits = [_step(context, tokens[:PROMPT_TOKENS], vocabulary), *(_step(context, [token], vocabulary) for token in tokens[PROMPT_TOKENS:])]
        llama_cpp.llama_free(context)
        return logits

    theirs = way()
    if not attention.use():
        raise NonsenseError("there is no attention of our own for this processor")
    for known, found in zip(theirs, way(), strict=True):
        apart = float(np.sqrt(((known - found) ** 2).mean()) / known.std())
        if not apart < APART:
            raise NonsenseError(f"the logits of our attention are {apart:.2f} of their spread away from llama.cpp's")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m inference.probe", description="Try the compiled llama.cpp on a model.")
    parser.add_argument("model", help="a GGUF file")
    parser.add_argument("--no-extra-buffers", action="store_true", help="leave the weights as they are in the file (slower)")
    parser.add_argument("--attention", action="store_true", help="compare our own attention with llama.cpp's")
    arguments = parser.parse_args()
    try:
        result = probe(arguments.model, extra_buffers=not arguments.no_extra_buffers, own_attention=arguments.attention)
    except CannotLoadError as error:
        print(f"{arguments.model}: {error}", file=sys.stderr)
        return CANNOT_LOAD
    except NonsenseError as error:
        print(error, file=sys.stderr)
        return NONSENSE
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
