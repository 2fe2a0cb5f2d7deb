// Flash attention on the CPU for steps of a few tokens: several people's streams in one cache, and guesses being checked.
//
// llama.cpp has two ways. Its plain attention multiplies every token of a step with every cell in use, whoever they belong to; its flash
// attention skips cells that a token does not see, but reads and converts a key anew for each token and each head. Here the cells that
// neighbouring tokens see are gathered once, for all their heads, and both products run on tiles that stay in the first-level cache.
//
// It comes in by the way that llama.cpp keeps for such things: an "extra buffer type" of the CPU backend is asked about every operation
// before the backend's own code is. Ours holds no buffers, takes GGML_OP_FLASH_ATTN_EXT where it can, and leaves all else alone.
//
// What it counts on: masks are 0 or minus infinity (llama.cpp makes others only for ALiBi, which is left to it).

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "ggml-cpu.h"
#include "tile.h"
#include "traits.h"

#ifdef ENSEMBLE_VECTORS

namespace {

bool can(const ggml_tensor * op) {
    if (op->op != GGML_OP_FLASH_ATTN_EXT) {
        return false;
    }
    const ggml_tensor *q = op->src[0], *k = op->src[1], *v = op->src[2], *mask = op->src[3];
    float params[3];  // scale, ALiBi's largest bias, soft cap
    memcpy(params, op->op_params, sizeof params);
    const bool plain = params[1] == 0.0f && params[2] == 0.0f;
    const bool typed = q->type == GGML_TYPE_F32 && k->type == v->type && (k->type == GGML_TYPE_F16 || k->type == GGML_TYPE_Q8_0);
    return plain && typed && mask && mask->type == GGML_TYPE_F16 && mask->ne[2] == 1 && mask->ne[3] == 1 && !op->src[4] && q->ne[3] == 1 && k->ne[3] == 1 &&
           k->ne[0] % 32 == 0 && v->ne[0] % 32 == 0 && k->ne[2] == v->ne[2] && q->ne[2] % k->ne[2] == 0;
}

class Attention : public ggml::cpu::tensor_traits {
  public:
    bool work_size(int threads, const ggml_tensor * op, size_t & size) override {
        const Shape shape(op);
        size = sizeof(float) * (threads * shape.scratch() + 16);
        return true;
    }

    bool compute_forward(ggml_compute_params * params, ggml_tensor * op) override {
        const Shape shape(op);
        dispatch<1>(params, op, shape);
        return true;
    }

  private:
    template <int SPLIT> static void dispatch(ggml_compute_params * params, ggml_tensor * op, const Shape & shape) {
        if (shape.split == SPLIT) {
            compute<SPLIT>(params, op, shape);
        } else if constexpr (SPLIT < MOST_SPLIT) {
            dispatch<2 * SPLIT>(params, op, shape);
        }
    }

    template <int SPLIT> static void compute(ggml_compute_params * params, ggml_tensor * op, const Shape & shape) {
        Tile<SPLIT> tile(op, shape, (float *) (((uintptr_t) params->wdata + 63) / 64 * 64) + params->ith * shape.scratch());
        // Where there are fewer pieces than threads, heads that share a key are divided: each reads it for itself.
        const int64_t whole_pieces = shape.key_heads * shape.tiles;
        const int64_t slices = std::min<int64_t>(shape.rows_each, (params->nth + whole_pieces - 1) / whole_pieces);
        for (int64_t piece = params->ith; piece < whole_pieces * slices; piece += params->nth) {
            const int64_t slice = piece / whole_pieces, rest = piece % whole_pieces;
            const int from = (int) (shape.rows_each * slice / slices), to = (int) (shape.rows_each * (slice + 1) / slices);
            const auto compute = [&](bool together) {
                tile.begin(rest % shape.key_heads, rest / shape.key_heads, from, to, together);
                for (int64_t cell = 0; cell < shape.cells; cell += RANGE) {
                    tile.see(cell, std::min(cell + RANGE, shape.cells));
                }
                return tile.finish();
            };
            compute(true) || compute(false);
        }
    }
};

class Way : public ggml::cpu::extra_buffer_type {
  public:
    bool supports_op(ggml_backend_dev_t, const ggml_tensor *) override { return false; }  // no weights come here
    ggml::cpu::tensor_traits * get_tensor_traits(const ggml_tensor * op) override { return on && can(op) ? &attention : nullptr; }

    bool on = false;

  private:
    Attention attention;
};

const char * name(ggml_backend_buffer_type_t) { return "ENSEMBLE_ATTENTION"; }
size_t alignment(ggml_backend_buffer_type_t) { return 64; }

Way way;
ggml_backend_buffer_type type = {};

}  // namespace

// Whether from now on it is used; 0 where this processor has no way for it. Not beside a running computation.
extern "C" int ensemble_attention(int on) {
    if (on && !type.context) {
        type.iface.get_name = name;
        type.iface.get_alignment = alignment;
        type.device = ggml_backend_reg_dev_get(ggml_backend_cpu_reg(), 0);
        type.context = &way;
        ggml_backend_cpu_get_extra_buffer_types().push_back(&type);
    }
    way.on = on;
    return 1;
}

#else

extern "C" int ensemble_attention(int) { return 0; }

#endif
