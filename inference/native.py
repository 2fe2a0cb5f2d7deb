"""A thin, typed face of the llama.cpp calls that the engine needs; ctypes stays in here.

Speaks in tokens (int), sequence numbers and positions. Not thread-safe: the worker's thread owns it.
"""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as c

from inference import kernels, memory

OK, NO_ROOM, ABORTED = 0, 1, 2

# A sequence's cells outside of the context.
Saved: TypeAlias = "ctypes.Array[ctypes.c_char]"

LOG_LEVEL_ERROR = 4
# The last of llama.cpp's complaints: it returns nothing else where a file cannot be loaded.
_complaints: deque[str] = deque(maxlen=4)


def _hear(level: int, text: bytes, data: object) -> None:
    if level == LOG_LEVEL_ERROR:
        _complaints.append(text.decode(errors="replace").strip())


_log = c.llama_log_callback(_hear)


def offloads() -> bool:
    """Whether the library was built for a GPU, and there is one."""
    return bool(c.llama_supports_gpu_offload())


class ModelError(Exception):
    """The file cannot be used as a model; the text says which and why, for people."""


class AbortFlag:
    """Asks a running ``llama_decode`` to end. Settable from any thread.

    A Python callback would retake the GIL at every node of the graph; ``strlen`` over this buffer does not:
    it answers 0 for an empty string (go on) and 1 for one character (abort).
    """

    def __init__(self) -> None:
        self._buffer = ctypes.create_string_buffer(2)
        strlen = ctypes.CDLL(None).strlen
        self.callback = ctypes.cast(strlen, c.ggml_abort_callback)
        self.data = ctypes.cast(self._buffer, ctypes.c_void_p)

    def set(self) -> None:
        self._buffer[0] = b"\x01"

    def clear(self) -> None:
        self._buffer[0] = b"\x00"


class Piece(NamedTuple):
    """What a token stands for. ``text`` may hold half a character; control tokens have their name. ``end``: it ends a reply."""

    text: bytes
    control: bool
    end: bool


class Vocabulary:
    """A model file's words and what it says of itself. Raises ModelError where the file is no model.

    ``weights``: False loads the vocabulary alone. ``progress`` hears the share that is loaded, from 0 to 1.
    """

    def __init__(
        self,
        path: Path,
        *,
        weights: bool = False,
        extra_buffers: bool = True,
        gpu_layers: int = 0,
        progress: Callable[[float], None] | None = None,
    ) -> None:
        if not path.is_file():
            raise ModelError(f"The model file {path} does not exist.")
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise ModelError(f"{path} is not a GGUF model file.")
        _complaints.clear()
        c.llama_log_set(_log, ctypes.c_void_p(0))
        c.llama_backend_init()
        params = c.llama_model_default_params()
        params.vocab_only = not weights
        params.use_extra_bufts = extra_buffers
        params.n_gpu_layers = gpu_layers
        if progress:

            def told(share: float, _: object) -> bool:
                progress(share)
                return True  # it goes on

            params.progress_callback = c.llama_progress_callback(told)
        self._model = c.llama_model_load_from_file(str(path).encode(), params)
        if not self._model:
            said = " ".join(" ".join(_complaints).split())
            if "alloc" in said:
                raise ModelError(f"There is not enough memory to load {path}. llama.cpp says: {said}")
            raise ModelError(
                f"{path} could not be loaded: the file is damaged, or this llama.cpp does not know its kind. It says: {said or 'nothing'}"
            )
        self._vocab = c.llama_model_get_vocab(self._model)
        self._vocabulary = c.llama_vocab_n_tokens(self._vocab)
        self._pieces: dict[int, Piece] = {}
        # SentencePiece vocabularies put a space before a text that stands alone; ours are parts of one.
        self._lead: tuple[int, ...] = ()
        if c.llama_vocab_type(self._vocab) == c.LLAMA_VOCAB_TYPE_SPM:
            self._lead = self._tokenize("\n", False)

    def close(self) -> None:
        c.llama_model_free(self._model)

    def tokenize(self, text: str, special: bool) -> tuple[int, ...]:
        """Without special tokens at the ends; ``special``: control tokens written in the text are parsed.

        The tokens of texts that follow each other, put together, are the tokens of one text with exactly their characters.
        """
        if not self._lead or not text:
            return self._tokenize(text, special)
        tokens = self._tokenize("\n" + text, special)
        return tokens[len(self._lead) :]

    def _tokenize(self, text: str, special: bool) -> tuple[int, ...]:
        data = text.encode()
        room = len(data) + 8
        buffer = (c.llama_token * room)()
        count = c.llama_tokenize(self._vocab, data, len(data), buffer, room, False, special)
        if count < 0:
            buffer = (c.llama_token * -count)()
            count = c.llama_tokenize(self._vocab, data, len(data), buffer, -count, False, special)
        return tuple(buffer[:count])

    def piece(self, token: int) -> Piece:
        known = self._pieces.get(token)
        if known is None:
            buffer = ctypes.create_string_buffer(256)
            length = c.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, True)
            if length < 0:
                buffer = ctypes.create_string_buffer(-length)
                length = c.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, True)
            control, end = c.llama_vocab_is_control(self._vocab, token), c.llama_vocab_is_eog(self._vocab, token)
            known = self._pieces[token] = Piece(buffer.raw[:length], bool(control), bool(end))
        return known

    def chat_template(self) -> str:
        text = c.llama_model_chat_template(self._model, None)
        return text.decode() if text else ""

    def number(self, key: str) -> float:
        """A figure that the file carries; 0 where it carries none."""
        buffer = ctypes.create_string_buffer(64)
        length = c.llama_model_meta_val_str(self._model, key.encode(), buffer, len(buffer))
        return float(buffer.value) if length > 0 else 0.0

    def bos_eos(self) -> tuple[str, str]:
        bos, eos = c.llama_vocab_bos(self._vocab), c.llama_vocab_eos(self._vocab)
        return (self.piece(bos).text.decode() if bos >= 0 else "", self.piece(eos).text.decode() if eos >= 0 else "")

    def adds_bos(self) -> bool:
        """Whether the model was trained with its first token before every text."""
        return bool(c.llama_vocab_get_add_bos(self._vocab))


class Context(Vocabulary):
    """A model with one context of ``context`` tokens a sequence, all sequences sharing ``cells``. Raises ModelError where the file is no model.

    ``flash``: None takes flash attention where we have our own for this processor. llama.cpp's halves the speed of decoding on many, whatever its
    "auto" thinks. A quantised ``kv`` needs it. ``own``: whether our kernels are used where there are any (``inference/kernels.py``), in this whole process.
    """

    def __init__(
        self,
        path: Path,
        *,
        context: int,
        sequences: int,
        batch: int,
        threads: int,
        extra_buffers: bool,
        cells: int = 0,
        flash: bool | None = None,
        own: bool = True,
        kv: Literal["f16", "q8_0"] = "f16",
        gpu_layers: int = 0,
        abort: AbortFlag | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> None:
        used = kernels.use(own)
        super().__init__(path, weights=True, extra_buffers=extra_buffers, gpu_layers=gpu_layers, progress=progress)
        trained = c.llama_model_n_ctx_train(self._model)
        self.size = min(context, trained) if trained > 0 else context
        self.cells = max(self.size, cells) if cells else memory.cells(self.size)
        self.parameters = c.llama_model_n_params(self._model)
        params = c.llama_context_default_params()
        params.n_ctx = self.cells
        params.n_batch = batch
        params.n_ubatch = min(batch, memory.micro_batch(self.cells))
        params.n_seq_max = sequences
        params.n_threads = params.n_threads_batch = self._threads = threads
        params.kv_unified = True
        self.flash = kv != "f16" or (used.attention if flash is None else flash)
        params.flash_attn_type = c.LLAMA_FLASH_ATTN_TYPE_ENABLED if self.flash else c.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.type_k = params.type_v = c.GGML_TYPE_Q8_0 if kv == "q8_0" else c.GGML_TYPE_F16
        self._context = c.llama_init_from_model(self._model, params)
        if not self._context:
            c.llama_model_free(self._model)
            raise ModelError(
                f"There is not enough memory for a context of {self.cells} tokens (ENSEMBLE_MAX_CONTEXT_TOKENS, ENSEMBLE_MAX_CACHE_TOKENS)."
            )
        self._abort = abort
        if abort:
            c.llama_set_abort_callback(self._context, abort.callback, abort.data)
        self._memory = c.llama_get_memory(self._context)
        self._batch = c.llama_batch_init(batch, 0, 1)
        self._row = ctypes.c_float * self._vocabulary

    def close(self) -> None:
        c.llama_batch_free(self._batch)
        c.llama_free(self._context)
        super().close()

    def decode(self, entries: Sequence[tuple[int, int, int, bool]], threads: int = 0) -> int:
        """Evaluates (sequence, position, token, logits wanted) entries. Returns OK, NO_ROOM, ABORTED or a negative fault.

        ``threads``: of this step and those after it; 0 as before.
        """
        if threads not in (0, self._threads):
            # llama.cpp itself takes anything beyond one token for a prompt.
            self._threads = threads
            c.llama_set_n_threads(self._context, threads, threads)
        batch = self._batch
        batch.n_tokens = len(entries)
        token, pos, seq_id, n_seq_id, logits = batch.token, batch.pos, batch.seq_id, batch.n_seq_id, batch.logits
        for i, (sequence, position, value, wanted) in enumerate(entries):
            token[i] = value
            pos[i] = position
            n_seq_id[i] = 1
            seq_id[i][0] = sequence
            logits[i] = wanted
        return int(c.llama_decode(self._context, batch))

    def argmax(self, index: int) -> int | None:
        """The likeliest token after entry ``index`` of the last batch; None where the logits are not numbers."""
        logits = self.logits(index)
        best = int(logits.argmax())
        return best if np.isfinite(logits[best]) else None

    def logits(self, index: int) -> npt.NDArray[np.float32]:
        """Of every token of the vocabulary, after entry ``index`` of the last batch. Overwritten by the next step."""
        # ``as_array`` takes four times as long, which a small model's step feels.
        return np.frombuffer(self._row.from_address(ctypes.addressof(c.llama_get_logits_ith(self._context, index).contents)), np.float32)

    def save(self, sequence: int) -> Saved | None:
        """The sequence's cells, for ``restore``; None where llama.cpp cannot give them."""
        size = c.llama_state_seq_get_size(self._context, sequence)
        data = ctypes.create_string_buffer(size)
        written = c.llama_state_seq_get_data(self._context, ctypes.cast(data, ctypes.POINTER(ctypes.c_uint8)), size, sequence)
        return data if written == size else None

    def restore(self, sequence: int, data: Saved) -> bool:
        """Whether there was room for the cells. The sequence is empty before, and on failure."""
        buffer = ctypes.cast(data, ctypes.POINTER(ctypes.c_uint8))
        if c.llama_state_seq_set_data(self._context, buffer, len(data), sequence):
            return True
        self.truncate(sequence, 0)
        return False

    def cell_bytes(self) -> int:
        """What a token takes in the cache, and where it is parked. Measured on sequence 0, which is empty before and after."""
        self.decode([(0, 0, 0, False)])
        size = c.llama_state_seq_get_size(self._context, 0)
        self.truncate(0, 0)
        return int(size)

    def copy(self, source: int, target: int, length: int) -> None:
        """Metadata only: both sequences share the cells."""
        c.llama_memory_seq_cp(self._memory, source, target, 0, length)

    def truncate(self, sequence: int, length: int) -> None:
        c.llama_memory_seq_rm(self._memory, sequence, length, -1)

    def length(self, sequence: int) -> int:
        return int(c.llama_memory_seq_pos_max(self._memory, sequence)) + 1
