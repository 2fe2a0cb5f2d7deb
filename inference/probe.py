"""Does the compiled llama.cpp work on this machine?  python -m inference.probe MODEL.gguf [--no-extra-buffers] [--kernels]

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

from inference import kernels

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


def probe(path: str, *, extra_buffers: bool, own_kernels: bool = False) -> dict[str, Any]:
    """Evaluate a prompt and a few tokens after it. Raises CannotLoadError or NonsenseError.

    ``own_kernels``: with our kernels before, and these have to agree with llama.cpp.
    """
    errors: list[str] = []

    @llama_cpp.llama_log_callback  # type: ignore[untyped-decorator, unused-ignore]
    def log(level: int, text: bytes, _: object) -> None:
        if level == LOG_LEVEL_ERROR:
            errors.append(text.decode(errors="replace").strip())

    llama_cpp.llama_log_set(log, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    ours: list[npt.NDArray[np.float32]] = []
    if own_kernels:
        if not kernels.use().attention:
            raise NonsenseError("there are no kernels for this processor")
        ours, _ = _logits(path, extra_buffers, llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED, errors)
        kernels.use(False)
    theirs, times = _logits(path, extra_buffers, llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED, errors)
    for known, found in zip(theirs if own_kernels else (), ours, strict=True):
        apart = float(np.sqrt(((known - found) ** 2).mean()) / known.std())
        if not apart < APART:
            raise NonsenseError(f"the logits of our kernels are {apart:.2f} of their spread away from llama.cpp's")
    result = {
        "ok": True,
        "use_extra_bufts": extra_buffers,
        "likeliest": [int(logits.argmax()) for logits in theirs],
        "prompt_ms": round(1000 * times[0], 2),
        "decode_ms_per_token": round(1000 * sum(times[1:]) / DECODE_TOKENS, 2),
        "system": (llama_cpp.llama_print_system_info() or b"").decode().strip(),
    }
    llama_cpp.llama_log_set(llama_cpp.llama_log_callback(), ctypes.c_void_p(0))
    return result


def _logits(path: str, extra_buffers: bool, flash: int, errors: list[str]) -> tuple[list[npt.NDArray[np.float32]], list[float]]:
    """Behind a prompt and behind each of some tokens after it, with the seconds that each took."""
    params = llama_cpp.llama_model_default_params()
    params.use_extra_bufts = extra_buffers
    model = llama_cpp.llama_model_load_from_file(path.encode(), params)
    if not model:
        raise CannotLoadError(" ".join(" ".join(errors).split()) or "llama.cpp gives no reason")
    if not llama_cpp.llama_model_chat_template(model, None) and not _has_token(model, b"<|patch|>"):
        raise CannotLoadError("it carries no chat template, so Ensemble cannot ask it for edits; an instruct or chat model does")
    context_params = llama_cpp.llama_context_default_params()
    context_params.n_ctx = CONTEXT_TOKENS
    context_params.flash_attn_type = flash
    context = llama_cpp.llama_init_from_model(model, context_params)
    if not context:
        raise CannotLoadError(" ".join(" ".join(errors).split()) or "llama.cpp cannot make a context for it")
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    # Any tokens will do: what is tried is the arithmetic, not the answer.
    tokens = [(7919 * i + 11) % vocabulary for i in range(PROMPT_TOKENS + DECODE_TOKENS)]
    found, times = [], []
    for step in (tokens[:PROMPT_TOKENS], *([token] for token in tokens[PROMPT_TOKENS:])):
        started = time.perf_counter()
        found.append(_step(context, step, vocabulary))
        times.append(time.perf_counter() - started)
    llama_cpp.llama_free(context)
    llama_cpp.llama_model_free(model)
    return found, times


def _has_token(model: Any, text: bytes) -> bool:
    room = len(text) + 2
    tokens = (llama_cpp.llama_token * room)()
    return llama_cpp.llama_tokenize(llama_cpp.llama_model_get_vocab(model), text, len(text), tokens, room, False, True) == 1


def _step(context: Any, tokens: list[int], vocabulary: int) -> npt.NDArray[np.float32]:
    """The logits behind them."""
    array = (llama_cpp.llama_token * len(tokens))(*tokens)  # the batch only points to it: it must outlive the call below
    if status := llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(array, len(tokens))):
        raise NonsenseError(f"llama_decode returned {status}")
    logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, -1), shape=(vocabulary,))
    if not np.isfinite(logits).all():
        raise NonsenseError("some logits are not finite")
    return logits.copy()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m inference.probe", description="Try the compiled llama.cpp on a model.")
    parser.add_argument("model", help="a GGUF file")
    parser.add_argument("--no-extra-buffers", action="store_true", help="leave the weights as they are in the file (slower)")
    parser.add_argument("--kernels", action="store_true", help="compare our own kernels with llama.cpp")
    arguments = parser.parse_args()
    try:
        result = probe(arguments.model, extra_buffers=not arguments.no_extra_buffers, own_kernels=arguments.kernels)
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
